"""Arithmetic on claims, against worked examples."""

from __future__ import annotations

import math
import random

import pytest
from folders import packed
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from auditor.submission.arithmetic import (
    bytes_per_token,
    implied_bytes,
    known_token_count,
    packed_size,
    significance,
    sizes,
)
from auditor.submission.logs import Score
from rules.contest.profile import Tokenization, Validation

SPLIT = Validation(
    bos_id=1,
    logged_tokens={"c": (40_546_304, 40_540_160)},
    tokenizations=(
        Tokenization(name="a", vocab_size=1024, tokens=62_021_846, targets=62_021_845),
        Tokenization(name="b", vocab_size=8192, tokens=47_853_344, targets=47_853_343),
    ),
)


def score(loss: float | None, bpb: float) -> Score:
    return Score("final", loss, bpb, None, "train.log", 1)


@settings(derandomize=True, max_examples=100)
@given(st.floats(1.0, 4.0), st.integers(10**6, 10**8), st.integers(10**6, 10**9))
def test_implied_bytes_invert_the_definition_of_bpb(loss: float, tokens: int, text_bytes: int) -> None:
    implied = implied_bytes(score(loss, loss / math.log(2) * tokens / text_bytes), tokens)
    assert implied is not None
    assert implied.value == pytest.approx(text_bytes)


def test_a_canonical_score_and_one_with_doubled_spaces() -> None:
    honest = implied_bytes(score(1.86367588, 1.10377675), 62_021_846)
    inflated = implied_bytes(score(1.86367588, 1.10377675 / 1.1746), 62_021_846)
    assert honest is not None
    assert inflated is not None
    assert honest.consistent_with(151_080_891)
    assert not inflated.consistent_with(151_080_891)


def test_few_digits_leave_room() -> None:
    coarse = implied_bytes(score(1.864, 1.104), 62_021_846)
    assert coarse is not None
    assert coarse.error > 50_000
    assert coarse.consistent_with(151_080_891)


def test_without_a_loss_nothing_is_implied() -> None:
    assert implied_bytes(score(None, 1.1), 10) is None
    assert bytes_per_token(score(None, 1.1)) is None
    assert bytes_per_token(score(math.log(2), 0.5)) == pytest.approx(2)


@pytest.mark.parametrize(
    ("tokens", "name", "fraction"),
    [
        (62_021_846, "a", 1.0),
        (62_021_632, "a", 1.0),
        (47_851_520, "b", 1.0),
        (40_540_160, "c", 1.0),
        (9_662_464, "", 0.2383),
    ],
)
def test_known_token_counts(tokens: int, name: str, fraction: float) -> None:
    known = known_token_count(tokens, SPLIT)
    assert known.tokenizer == name
    assert known.fraction == pytest.approx(fraction, abs=1e-3)


def test_more_tokens_than_any_split() -> None:
    assert math.isnan(known_token_count(10**9, SPLIT).fraction)


def test_three_totals() -> None:
    totals = sizes(15_990_000, 15_900_000, "é" * 50_000, ["x = 1\n" * 10_000])
    assert (totals.logged, totals.as_shipped) == (15_990_000, 16_000_000)
    assert totals.packed is not None
    assert 15_900_000 < totals.packed < 15_901_000
    assert sizes(5, None, "", []).as_shipped is None


def test_the_packed_size_is_that_of_a_stub() -> None:
    text = "".join(random.Random(1).choices("abcdef ()=\n", k=20_000))
    assert packed_size([text]) == pytest.approx(len(packed(text)), rel=0.01)


def test_significance_is_students() -> None:
    losses = [1.8801, 1.8812, 1.8809]
    result = significance(losses, previous=1.8900, margin=0.005)
    assert result.p == pytest.approx(stats.ttest_1samp(losses, 1.885, alternative="less").pvalue)
    assert result.improvement == pytest.approx(0.00927, abs=1e-5)
    assert significance(losses, previous=1.8850, margin=0.005).p > 0.5


def test_significance_of_one_run_and_of_equal_runs() -> None:
    assert significance([1.0], 2.0, 0.1).p == 1.0
    assert significance([1.0, 1.0], 2.0, 0.1).p == 0.0
    assert significance([1.95, 1.95], 2.0, 0.1).p == 1.0
    with pytest.raises(ValueError, match="no losses"):
        significance([], 2.0, 0.1)
