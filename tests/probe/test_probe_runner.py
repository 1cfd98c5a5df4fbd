"""One submission through the runner, many ways. A server costs seconds to start, so two serve all tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auditor.probe.plan import BEHIND_ARTIFACT, Stream, Variant
from auditor.probe.record import ProbeRun, Recording
from auditor.probe.runner import run_probe
from auditor.probe.settings import setup_for
from auditor.probe.streams import periodic_stream, training_stream
from auditor.submission import read_submission

pytestmark = pytest.mark.xdist_group("probe")

_FOLDER = Path(__file__).parent / "submissions" / "surfaces"
_BASE = Stream(periodic_stream(24, 257))
_OTHER = Stream(periodic_stream(24, 257, seed=9))
_TRAIN = Stream(training_stream(24, seed=77))
_MISBEHAVIOURS = ("error", "exit", "memory", "spin", "vanish", "stray", "load-error", "no-main")


def _with_mode(mode: str, **named: object) -> Variant:
    return replace(Variant(mode, _BASE, environment={"MODE": mode}), **named)  # type: ignore[arg-type]


def _last_changed() -> Stream:
    tokens = _BASE.tokens.copy()
    tokens[-1] = 3 + tokens[-1] % 20
    return Stream(tokens)


@pytest.fixture(scope="module")
def probe_run() -> ProbeRun:
    submission = read_submission(_FOLDER)
    variants = [
        Variant("base", _BASE),
        Variant("repeat", _BASE),
        Variant("validation", _OTHER),
        Variant("train", _BASE, train=_TRAIN),
        Variant("train after", _BASE, train=_TRAIN, train_after=True),
    ]
    for mode in ("train-at-evaluation", "remembered-training-data"):
        variants += [_with_mode(mode), _with_mode(mode, name=f"{mode} after", train=_TRAIN, train_after=True)]
    variants += [_with_mode("train-on-validation"), _with_mode("train-on-validation", name="swap", validation=_OTHER)]
    variants += [_with_mode(mode) for mode in _MISBEHAVIOURS]
    streams = [_BASE, _last_changed(), _BASE]
    setup = replace(setup_for(submission), timeout=4.0)
    return run_probe(submission, setup, full=variants, forked=streams, budget=200.0)


@pytest.fixture(scope="module")
def by_name(probe_run: ProbeRun) -> Mapping[str, Recording]:
    names = ["base", "repeat", "validation", "train", "train after"]
    for mode in ("train-at-evaluation", "remembered-training-data"):
        names += [mode, f"{mode} after"]
    names += ["train-on-validation", "swap", *_MISBEHAVIOURS]
    return dict(zip(names, probe_run.full, strict=True))


def _score(recording: Recording) -> float:
    assert recording.status == "ok", recording.error
    return recording.returned[0]


def _losses(recording: Recording) -> np.ndarray:
    events = [e for e in recording.events if e.site.kind == "cross-entropy" and len(e.values) == 64]
    return np.concatenate([event.values for event in events[-4:]])


def test_every_surface_is_stood_in_for(by_name: Mapping[str, Recording]) -> None:
    assert by_name["base"].status == "ok", by_name["base"].error


def test_tap_reproduces_the_printed_score(by_name: Mapping[str, Recording]) -> None:
    base = by_name["base"]
    printed = float(base.lines[-1].text.split("val_loss:")[1].split()[0])
    assert printed == pytest.approx(float(_losses(base).mean()), abs=3e-7)  # the batch means were float32
    assert base.events[-1].order < base.lines[-1].order


def test_two_runs_agree_bit_for_bit(by_name: Mapping[str, Recording]) -> None:
    base, repeat = by_name["base"], by_name["repeat"]
    assert [e.site for e in base.events] == [e.site for e in repeat.events]
    assert all(np.array_equal(a.values, b.values) for a, b in zip(base.events, repeat.events, strict=True))
    assert (base.lines, base.artifacts, base.returned) == (repeat.lines, repeat.artifacts, repeat.returned)


def test_artifact_depends_on_training_data_alone(by_name: Mapping[str, Recording]) -> None:
    base = by_name["base"]
    assert set(base.artifacts) == {"final_model.pt", "final_model.ptz"}
    assert by_name["validation"].artifacts == base.artifacts
    assert by_name["train"].artifacts != base.artifacts
    assert _score(by_name["validation"]) != _score(base)


def test_validation_swap_shows_training_on_validation(by_name: Mapping[str, Recording]) -> None:
    assert by_name["train-on-validation"].artifacts != by_name["swap"].artifacts


@pytest.mark.parametrize("mode", ["train-at-evaluation", "remembered-training-data"])
def test_training_swap_shows_training_data_at_evaluation(by_name: Mapping[str, Recording], mode: str) -> None:
    before, after = by_name[mode], by_name[f"{mode} after"]
    assert {name: before.artifacts[name] for name in ("final_model.pt", "final_model.ptz")}.items() <= (
        after.artifacts.items()
    )
    assert _score(before) != _score(after)


def test_training_swap_leaves_an_honest_score_alone(by_name: Mapping[str, Recording]) -> None:
    assert by_name["train after"].artifacts == by_name["base"].artifacts
    assert _score(by_name["train after"]) == _score(by_name["base"])


def test_forked_scorer_scores_each_stream(probe_run: ProbeRun, by_name: Mapping[str, Recording]) -> None:
    (call,) = probe_run.calls
    assert call.key == "eval_val"
    base, last, repeat = (_losses(recording) for recording in call.recordings)
    assert np.array_equal(base, repeat)
    assert np.array_equal(base, _losses(by_name["base"]))
    assert np.flatnonzero(base != last).tolist() == [255]


def test_forked_children_do_not_see_each_others_files(probe_run: ProbeRun, by_name: Mapping[str, Recording]) -> None:
    # The scorer counts its calls in a file: every child, and the run itself behind them, finds none.
    assert by_name["base"].lines[-1].text.endswith("calls:1")
    assert len(probe_run.calls[0].recordings) == 3


@pytest.mark.parametrize(
    ("mode", "status"),
    [
        ("error", "error"),
        ("exit", "exit"),
        ("memory", "memory"),
        ("spin", "timeout"),
        ("vanish", "error"),
        ("stray", "ok"),
        ("load-error", "load-error"),
        ("no-main", "no-main"),
    ],
)
def test_misbehaviour_has_a_status(by_name: Mapping[str, Recording], mode: str, status: str) -> None:
    assert by_name[mode].status == status, by_name[mode].error


def test_errors_say_what_happened(by_name: Mapping[str, Recording]) -> None:
    assert "ValueError: as asked" in by_name["error"].error
    assert "exit(3)" in by_name["exit"].error
    assert "status 7" in by_name["vanish"].error


def test_fork_at_load_goes_on_to_the_end() -> None:
    submission = read_submission(_FOLDER)
    streams = [_BASE, _last_changed()]
    run = run_probe(submission, setup_for(submission), full=[Variant("base", _BASE)], forked=streams, fork_at_load=1)
    (call,) = run.calls
    assert call.key == "load:load_data_shard#1"
    base, last = call.recordings
    assert base.returned == run.full[0].returned
    assert np.flatnonzero(_losses(base) != _losses(last)).tolist() == [255]
    assert base.lines[-1].text == run.full[0].lines[-1].text


def test_fork_behind_the_artifact_puts_another_stream_in_its_place() -> None:
    submission = read_submission(_FOLDER)
    streams = [_BASE, _last_changed()]
    full = [Variant("base", _BASE)]
    run = run_probe(submission, setup_for(submission), full=full, forked=streams, fork_at_load=BEHIND_ARTIFACT)
    (call,) = run.calls
    base, last = call.recordings
    assert base.returned == run.full[0].returned
    assert np.flatnonzero(_losses(base) != _losses(last)).tolist() == [255]


@pytest.mark.parametrize(("mode", "calls"), [("", 1), ("sidecar", 1), ("train-on-validation", 0)])
def test_a_call_is_left_alone_where_the_score_hangs_on_more_than_it(mode: str, calls: int) -> None:
    submission = read_submission(_FOLDER)
    full = [_with_mode(mode), _with_mode(mode, validation=_OTHER, position=1), _with_mode(mode)]
    setup = setup_for(submission)
    run = run_probe(submission, setup, full=full, forked=[_BASE, _OTHER], fork_in=2, labels={"final"})
    assert len(run.calls) == calls


def test_forks_leave_the_budget_that_the_runs_behind_them_need() -> None:
    submission = read_submission(_FOLDER)
    full = [Variant(name, _BASE) for name in ("base", "repeat", "behind")]
    many = [_BASE] * 400
    run = run_probe(submission, setup_for(submission), full=full, forked=many, budget=8.0, fork_in=1)
    assert [recording.status for recording in run.full] == ["ok"] * 3
    (call,) = run.calls
    assert 0 < len(call.recordings) < len(many)
