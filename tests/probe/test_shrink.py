"""The search for a smaller counter-example: what it tries, in which order, and that it repeats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import toy_scorers as toy

from auditor.audited import Audited
from auditor.options import ProbeOptions
from auditor.probe.design import make_design
from auditor.probe.experiments import Session
from auditor.probe.failure import failures_of
from auditor.probe.measure import Measured, measure
from auditor.probe.plan import Setup
from auditor.probe.record import ProbeRun, Recording
from auditor.probe.shrink import Draw, shrink, small_design, smallest
from auditor.probe.smaller_sums import stretch
from auditor.probe.streams import BOS, FIRST_TEXT_TOKEN
from auditor.submission import read_submission

DESIGN = make_design(24, 64)


def test_the_smallest_example_is_tried_first() -> None:
    tried: list[Draw] = []

    def shows(drawn: Draw) -> bool:
        tried.append(drawn)
        return True

    assert smallest(shows) == (1, 0, False)
    assert set(tried) == {(1, 0, False)}


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        (lambda drawn: drawn[0] >= 2, (2, 0, False)),
        (lambda drawn: drawn[0] >= 3 and drawn[1] >= 1 and drawn[2], (3, 1, True)),
    ],
)
def test_it_comes_down_to_what_is_needed_and_repeats(needs: object, expected: Draw) -> None:
    assert smallest(needs) == smallest(needs) == expected  # type: ignore[arg-type]


def test_nothing_is_found_where_nothing_shows_it() -> None:
    assert smallest(lambda _: False) is None


def test_a_small_stream_is_the_beginning_of_the_usual_one_or_one_token_again_and_again() -> None:
    usual, plain = small_design(DESIGN, (2, 0, True)), small_design(DESIGN, (2, 1, False))
    assert usual is not None
    assert plain is not None
    assert (usual.targets, usual.positions) == (128, (128,))
    assert np.array_equal(usual.tokens, DESIGN.tokens[:129])
    assert plain.positions == (96,)
    assert set(plain.tokens.tolist()) == {BOS, FIRST_TEXT_TOKEN}


def test_no_document_mark_is_rewritten_and_no_position_before_the_stream() -> None:
    for windows in range(1, 5):
        for halves in range(8):
            design = small_design(DESIGN, (windows, halves, True))
            assert design is None or design.tokens[design.positions[0]] != BOS
    assert small_design(DESIGN, (1, 2, True)) is None


def test_a_stretch_ends_with_the_tested_token_and_begins_a_document() -> None:
    for position in DESIGN.positions:
        for windows in (1, 2, 3):
            small = stretch(DESIGN, position, windows)
            if 64 * windows > position:
                assert small is None
                continue
            assert small is not None
            assert (small.targets, small.positions, int(small.tokens[0])) == (64 * windows, (64 * windows,), BOS)
            assert np.array_equal(small.tokens[1:], DESIGN.tokens[position - 64 * windows + 1 : position + 1])
    assert stretch(DESIGN, DESIGN.targets, 4) is None


def test_code_that_fails_on_short_streams_keeps_its_counter_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train_gpt.py").write_text("import torch\n")
    main = measure(toy.recordings(toy.train_first, whole=True), toy.DESIGN)
    assert isinstance(main, Measured)
    session = Session(Setup("train_gpt.py"), toy.DESIGN, main, "decided", 8, 1.0, "namespaces")
    failed = ProbeRun((Recording("error", "IndexError", "main"),), (), "namespaces", 1.0)
    monkeypatch.setattr("auditor.probe.shrink.run_probe", lambda *_, **__: failed)
    failures = tuple((failure, session) for failure in failures_of(main))
    shrunk = shrink(failures, Audited(read_submission(tmp_path)), ProbeOptions(), 100.0)
    assert shrunk.failures == failures
