from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixer_walk import VOCAB, dictionary_counts, streams

from evaluator.ledger import Tokens
from evaluator.mixer.counts import CausalCounts


def all_rows(counts: CausalCounts, stop: int) -> np.typing.NDArray[np.int32]:
    return np.concatenate([rows.copy() for _, rows in counts.rows(0, stop)])


@settings(derandomize=True, max_examples=150, deadline=None)
@given(streams(max_size=120), st.integers(0, 16))
def test_counts_are_those_of_a_dictionary(tokens: Tokens, order: int) -> None:
    rows = all_rows(CausalCounts(tokens, order), len(tokens) - 1)
    assert np.array_equal(rows, dictionary_counts(tokens, order))


@settings(derandomize=True, max_examples=50, deadline=None)
@given(streams(), st.data())
def test_the_future_does_not_move_the_past(tokens: Tokens, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(tokens) - 2))
    future = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=40))
    other = np.array([*tokens[: position + 1], *future], np.uint16)
    here, there = (all_rows(CausalCounts(stream), position + 1) for stream in (tokens, other))
    assert np.array_equal(here[:position], there[:position])
    assert np.array_equal(here[position, :, :2], there[position, :, :2])


@settings(derandomize=True, max_examples=50, deadline=None)
@given(streams(), st.lists(st.integers(1, 59), max_size=5))
def test_counts_do_not_depend_on_how_far_one_counts_at_once(tokens: Tokens, stops: list[int]) -> None:
    counts = CausalCounts(tokens)
    for stop in stops:
        counts.count(min(stop, len(tokens) - 1))
    assert np.array_equal(all_rows(counts, len(tokens) - 1), all_rows(CausalCounts(tokens), len(tokens) - 1))


@settings(derandomize=True, max_examples=50, deadline=None)
@given(streams(), st.integers(0, 8))
def test_looking_through_the_prefix_finds_the_same_counts(tokens: Tokens, order: int) -> None:
    counts = CausalCounts(tokens, order)
    for p, row in enumerate(dictionary_counts(tokens, order)):
        followers = counts.followers(p, VOCAB)
        assert np.array_equal(followers.sum(axis=1), row[:, 0])
        assert np.array_equal((followers > 0).sum(axis=1), row[:, 1])
        assert np.array_equal(followers[:, tokens[p + 1]], row[:, 2])


def test_tables_grow_beyond_what_ordinary_text_needs() -> None:
    phrase = np.random.default_rng(3).integers(0, 60_000, 2_000).astype(np.uint16)
    tokens = np.concatenate([phrase, phrase, phrase])  # every context of the second phrase becomes a node
    assert np.array_equal(all_rows(CausalCounts(tokens, 16), len(tokens) - 1), dictionary_counts(tokens, 16))


def test_real_tokens(real_tokens: Tokens) -> None:
    tokens = real_tokens[:20_001]
    counts = CausalCounts(tokens, 6)
    rows = all_rows(counts, 20_000)
    assert np.array_equal(rows, dictionary_counts(tokens, 6))
    assert (np.diff(rows[:, :, 0], axis=1) <= 0).all()  # a longer context is rarer


def test_rows_come_in_order_and_are_released() -> None:
    tokens = np.arange(10_000).astype(np.uint16)
    counts = CausalCounts(tokens, 2)
    pieces = list(counts.rows(5, 9_000))
    assert pieces[0][0] == 5
    assert all(first + len(rows) == second for (first, rows), (second, _) in pairwise(pieces))
    assert sum(len(rows) for _, rows in pieces) == 9_000 - 5
    counts.release(9_000)
    with pytest.raises(ValueError, match="released"):
        list(counts.rows(8_999, 9_000))
    assert sum(len(rows) for _, rows in counts.rows(9_000, 9_999)) == 999


def test_what_cannot_be_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="uint16"):
        CausalCounts(np.zeros(5, np.int64))
    with pytest.raises(ValueError, match="2 to"):
        CausalCounts(np.zeros(1, np.uint16))
    with pytest.raises(ValueError, match="0 to 16"):
        CausalCounts(np.zeros(5, np.uint16), 17)
    with pytest.raises(ValueError, match="past the end"):
        CausalCounts(np.zeros(5, np.uint16)).count(5)
