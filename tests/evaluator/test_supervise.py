"""The parent's clock and its power to end a run, tried on real scoring processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import msgspec
import pytest

from evaluator.artifact import Decoded, decode, match
from evaluator.job import EventReader, Job, Started, Underway
from evaluator.refusal import Refused
from evaluator.settings import AdaptSettings, MixerSettings, ScoringSettings, WindowSettings
from evaluator.supervise import Fleet, Outcome, supervise
from reference_model import load_names, load_preset, state_layout

SLOW = ScoringSettings(
    windows=WindowSettings("W-C", 256, 1),
    chunk=256,
    micro_batch=1,
    gradient_rows=1,
    ttt=AdaptSettings(step_sequences=1),
    mixer=MixerSettings("none"),
)
"""Hours of work for the tiny contest: whatever happens first in these tests, it is not the end of the run."""


def checked() -> Future[None]:
    future: Future[None] = Future()
    future.set_result(None)
    return future


@pytest.fixture(scope="module")
def decoded(tiny_contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Decoded:
    return decode(tiny_contest / "artifact.ptz", tmp_path_factory.mktemp("decoded"))


@pytest.fixture
def job(tiny_contest: Path, decoded: Decoded, tmp_path: Path) -> Job:
    config = load_preset("mini")
    return Job(
        folder=str(tmp_path),
        tensors=str(decoded.tensors),
        names=match(decoded, state_layout(config), load_names("mini").to_canonical),
        config=config.to_mapping(),
        settings=SLOW,
        data=str(tiny_contest / "data"),
        tokenizer=str(next((tiny_contest / "data").glob("*.model"))),
        contest="mini",
    )


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def working(job: Job) -> bool:
    return any(isinstance(event, Underway) for event in EventReader(job.events).read())


def pids(job: Job) -> dict[int, int]:
    return {event.rank: event.pid for event in EventReader(job.events).read() if isinstance(event, Started)}


def wait_for(condition: object, seconds: float = 60) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def all_gone(job: Job) -> bool:
    return not any(alive(pid) for pid in pids(job).values())


@pytest.mark.parametrize("nproc", [1, 2])
def test_an_overrun_is_killed_within_a_second_and_reports_what_was_done(job: Job, nproc: int) -> None:
    outcome = supervise(job, Fleet(nproc), 2.0, check=checked)
    assert outcome.status == "over-time"
    assert 2.0 <= outcome.seconds < 3.0
    assert outcome.done is None
    assert len(pids(job)) == nproc
    wait_for(lambda: all_gone(job), 1)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_that_dies_is_named_and_ends_the_run(job: Job, victim: int) -> None:
    outcomes: list[Outcome] = []
    run = threading.Thread(target=lambda: outcomes.append(supervise(job, Fleet(2), 300, check=checked)))
    run.start()
    wait_for(lambda: working(job))
    os.kill(pids(job)[victim], signal.SIGKILL)
    began = time.monotonic()
    run.join(20)
    assert time.monotonic() - began < 10
    assert outcomes[0].status == "died"
    assert outcomes[0].message.startswith(f"rank {victim} died: SIGKILL")
    assert outcomes[0].done is None
    wait_for(lambda: all_gone(job), 1)


def test_a_single_process_that_dies_is_named(job: Job) -> None:
    broken = msgspec.structs.replace(job, tensors=str(Path(job.folder) / "absent.safetensors"))
    outcome = supervise(broken, Fleet(1), 300, check=checked)
    assert outcome.status == "died"
    assert "rank 0 died" in outcome.message
    assert "absent.safetensors" in outcome.message


def test_wrong_data_end_the_run_at_once(job: Job) -> None:
    future: Future[None] = Future()
    future.set_exception(Refused("byte-recount", "the bytes are not right"))
    with pytest.raises(Refused, match="the bytes are not right"):
        supervise(job, Fleet(1), 300, check=lambda: future)
    wait_for(lambda: all_gone(job), 1)


def test_settings_that_do_not_fit_the_model_are_refused(job: Job) -> None:
    wrong = msgspec.structs.replace(SLOW, ttt=AdaptSettings(freeze=("no.such.parameter",)))
    with pytest.raises(Refused, match=r"no\.such\.parameter") as caught:
        supervise(msgspec.structs.replace(job, settings=wrong), Fleet(1), 300, check=checked)
    assert caught.value.reason == "bad-settings"


def test_no_data_are_read_before_the_clock_runs(job: Job) -> None:
    """Data that appear only when the clock starts are found: nothing looked for them earlier."""
    hidden = Path(job.data)
    moved = Path(job.folder) / "data"

    def reveal() -> Future[None]:
        moved.symlink_to(hidden)
        return checked()

    absent = msgspec.structs.replace(job, data=str(moved), settings=msgspec.structs.replace(SLOW, ttt=None))
    outcome = supervise(absent, Fleet(1), 1.5, check=reveal)
    assert outcome.status == "over-time"
