"""Recordings survive the way out of the sandbox; anything else does not get in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.probe.record import Event, Line, Recording, Site
from auditor.probe.runner import ProbeError, run_probe
from auditor.probe.settings import setup_for
from auditor.probe.wire import WireError, pack, unpack
from auditor.sandbox import SandboxResult, Status, Tier
from auditor.submission import read_submission

_WORDS, _NUMBERS = st.text(max_size=4), st.integers(0, 9)
_SITES = st.builds(Site, st.sampled_from(["sum", "numpy"]), _WORDS, _WORDS, _NUMBERS, _NUMBERS)
_VECTORS = st.lists(st.floats(width=32), min_size=1, max_size=5).map(lambda v: np.array(v, np.float64))


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    """Any recording."""
    vectors = draw(st.lists(st.tuples(_SITES, _VECTORS), max_size=6))
    events = tuple(Event(site, vector, 2 * at) for at, (site, vector) in enumerate(vectors))
    lines = tuple(Line(2 * at + 1, text) for at, text in enumerate(draw(st.lists(st.text(max_size=6), max_size=4))))
    returned = tuple(draw(st.lists(st.floats(), max_size=3)))
    artifacts = draw(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3))
    return Recording("ok", draw(st.text(max_size=9)), "main", events, lines, returned, artifacts, 1.5, 0.5)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(recordings())
def test_round_trip(recording: Recording) -> None:
    meta, arrays = pack(recording)
    again = unpack(json.loads(json.dumps(meta)), arrays)
    for event, other in zip(recording.events, again.events, strict=True):
        assert (event.site, event.order) == (other.site, other.order)
        np.testing.assert_array_equal(event.values, other.values)
    np.testing.assert_array_equal(recording.returned, again.returned)
    assert (recording.error, recording.lines, recording.artifacts) == (again.error, again.lines, again.artifacts)


def _packed() -> tuple[dict[str, Any], dict[str, Any]]:
    site = Site("sum", "a.py", "f", 1, 2)
    events = (Event(site, np.ones(3), 0), Event(site, np.ones(2), 1))
    meta, arrays = pack(Recording("ok", "", "main", events))
    return json.loads(json.dumps(meta)), dict(arrays)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("site", np.array([0, 1])),
        ("site", np.array([0, -1])),
        ("site", np.array([0])),
        ("length", np.array([3, 3])),
        ("length", np.array([6, -1])),
        ("length", np.array([3.0, 2.0])),
        ("order", np.array([1, 1])),
        ("order", np.array([[0, 1]])),
        ("values", np.ones(5, np.float32)),
        ("returned", np.ones((1, 1))),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name: str, array: Any) -> None:
    meta, arrays = _packed()
    with pytest.raises(WireError):
        unpack(meta, arrays | {name: array})


@pytest.mark.parametrize(
    "change", [{"status": "fine"}, {"sites": [{"kind": "sum"}]}, {"lines": [1]}, {"seconds": "1"}, {"artifacts": [1]}]
)
def test_json_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    meta, arrays = _packed()
    with pytest.raises(WireError):
        unpack(meta | change, arrays)


def test_missing_arrays_are_refused() -> None:
    meta, arrays = _packed()
    del arrays["order"]
    with pytest.raises(WireError):
        unpack(meta, arrays)


@pytest.mark.parametrize(
    "meta",
    [b"{}", b"\xff", b'{"problems":["\xff"]}', b'{"recordings":[{"a":' + b"[" * 100_000],
    ids=["empty", "no JSON", "no text", "nested"],
)
def test_a_forged_answer_is_no_answer(meta: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's process runs the submission's code too, which may send what it likes."""
    forged = SandboxResult(Status.OK, 0, Tier.NAMESPACES, None, {"meta": np.frombuffer(meta, np.uint8)})
    monkeypatch.setattr("auditor.probe.runner.run", lambda *_, **__: forged)
    submission = read_submission(Path(__file__).parent / "submissions" / "surfaces")
    with pytest.raises(ProbeError, match="makes no sense"):
        run_probe(submission, setup_for(submission), full=[])
