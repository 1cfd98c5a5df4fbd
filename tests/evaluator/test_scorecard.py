"""Identity of a score and the arithmetic of a scorecard."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.ledger import QUANTUM
from evaluator.report.charts import ticks
from evaluator.report.html import render
from evaluator.scorecard import Digests, Scorecard, histogram, make_score, read_scorecard, score_digest

DIGESTS = Digests("a", "b", "c", "d", "e", "f")
scores = st.lists(st.integers(0, 1 << 35), min_size=1, max_size=8)


@given(scores, st.data())
def test_one_quantum_changes_the_digest(values: list[int], data: st.DataObject) -> None:
    nll = np.array(values, np.int64)
    changed = nll.copy()
    changed[data.draw(st.integers(0, len(values) - 1))] += 1
    digest = score_digest(DIGESTS, nll, int(nll.sum()))
    assert digest == score_digest(DIGESTS, nll.copy(), int(nll.sum()))
    assert digest != score_digest(DIGESTS, changed, int(nll.sum()))
    assert digest != score_digest(DIGESTS, nll, int(nll.sum()) + 1)


@pytest.mark.parametrize("name", Digests.__struct_fields__)
def test_everything_that_goes_in_changes_the_digest(name: str) -> None:
    nll = np.array([1], np.int64)
    assert score_digest(DIGESTS, nll, 1) != score_digest(msgspec.structs.replace(DIGESTS, **{name: "other"}), nll, 1)


def test_bits_per_byte() -> None:
    score = make_score(int(8 / QUANTUM), 4, 2)
    assert score is not None
    assert score.bpb == pytest.approx(4 / math.log(2))
    assert score.loss == 2.0
    assert make_score(5, 1, 0) is None


@given(scores)
def test_the_histogram_holds_every_token(values: list[int]) -> None:
    assert sum(histogram(np.array(values, np.int64))) == len(values)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_and_inside(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 1 <= len(found) <= 8
    assert all(low - 1e-6 * span <= tick <= low + span + 1e-6 * span for tick in found)


def test_text_of_a_hostile_artifact_is_escaped_on_the_page() -> None:
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    page = render(Scorecard(status="refused", contest=attack, reason=attack, message=attack))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page


DAMAGED = (
    b"{",
    b'{"status": "\xff"}',
    b"[]",
    b'{"schema_version": 99, "status": "refused"}',
    b'{"unknown":' + b"[" * 100_000,
)


@pytest.mark.parametrize("data", DAMAGED, ids=["cut", "not text", "a list", "another version", "nested"])
def test_what_is_no_scorecard_is_one_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_scorecard(data)
