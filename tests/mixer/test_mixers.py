"""What every mixer promises (see ``Mixer``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixer_walk import VOCAB, base_scores, network, streams, walk

from evaluator.ledger import Ledger, Tokens
from evaluator.mixer import BaseScores, build_mixer, mixer_names

MIXERS: list[tuple[str, dict[str, Any]]] = [
    ("none", {}),
    ("backoff", {}),
    ("backoff", {"order": 2, "min_count": 1}),
    ("pitman_yor", {}),
    ("pitman_yor", {"order": 2, "openness": 0.5, "rate": 3.0, "batch": 5}),
    ("tilt", {"beta": 2.0}),
    ("tilt", {"order": 3, "min_count": 2, "rate": 3.0, "batch": 5}),
]

every_mixer = pytest.mark.parametrize(("name", "options"), MIXERS)


def test_all_mixers_are_tested() -> None:
    assert mixer_names() == sorted({name for name, _ in MIXERS})


@every_mixer
@settings(derandomize=True, max_examples=25, deadline=None)
@given(tokens=streams(), seed=st.integers(0, 100))
def test_one_distribution_at_every_position(name: str, options: dict[str, Any], tokens: Tokens, seed: int) -> None:
    _, scores, full = walk(name, tokens, network(tokens, seed), settings=options, cuts=range(len(tokens)))
    assert len(full) == len(scores) == len(tokens) - 1
    for p, distribution in enumerate(full):
        assert distribution.dtype == np.float64
        assert (distribution > 0).all()
        assert abs(distribution.sum() - 1.0) < 1e-9
        assert distribution[tokens[p + 1]] == pytest.approx(np.exp(scores[p]), rel=1e-10)


@every_mixer
@settings(derandomize=True, max_examples=25, deadline=None)
@given(tokens=streams(), data=st.data())
def test_the_future_does_not_move_the_past(
    name: str, options: dict[str, Any], tokens: Tokens, data: st.DataObject
) -> None:
    p = data.draw(st.integers(0, len(tokens) - 2))
    other = tokens.copy()
    other[p + 1 :] = data.draw(st.lists(st.integers(0, VOCAB - 1), min_size=len(tokens) - p - 1, max_size=60))[
        : len(tokens) - p - 1
    ]
    every = range(len(tokens))
    first, scores, full = walk(name, tokens, network(tokens, 7), settings=options, cuts=every)
    second, other_scores, other_full = walk(name, other, network(other, 7), settings=options, cuts=every)
    assert np.array_equal(scores[:p], other_scores[:p])
    assert np.array_equal(full[: p + 1], other_full[: p + 1])
    if first.hints is not None and second.hints is not None:
        assert np.array_equal(first.hints[: p + 1], second.hints[: p + 1])


@every_mixer
@settings(derandomize=True, max_examples=25, deadline=None)
@given(tokens=streams(), cuts=st.lists(st.integers(1, 58)), ahead=st.booleans())
def test_calls_do_not_matter_between_learning(
    name: str, options: dict[str, Any], tokens: Tokens, cuts: list[int], ahead: bool
) -> None:
    log_probs = network(tokens, 7)
    _, scores, _ = walk(name, tokens, log_probs, settings=options)
    _, other, _ = walk(name, tokens, log_probs, settings=options, cuts=cuts, prepare=ahead)
    assert scores.tobytes() == other.tobytes()


@every_mixer
def test_learned_from_scored_tokens_only(name: str, options: dict[str, Any]) -> None:
    tokens = np.array([1, 2, 1, 2, 3, 1], np.uint16)
    log_probs = network(tokens, 0)
    mixer = build_mixer(name, tokens, VOCAB, options)
    ledger = Ledger(tokens)
    mixer.log_prob(2, base_scores(mixer, tokens, log_probs, 0, 2))
    with pytest.raises(TypeError, match="ScoredTokens"):
        mixer.learn(tokens[:2])  # type: ignore[arg-type]  # what is tested
    scored = ledger.credit(0, np.zeros(2, np.int64))
    mixer.learn(scored)
    with pytest.raises(ValueError, match="cannot be learned from"):
        mixer.learn(scored)
    with pytest.raises(ValueError, match="cannot be learned from"):
        mixer.learn(ledger.credit(2, np.zeros(2, np.int64)))  # credited, but this mixer did not score them


@every_mixer
def test_scores_that_do_not_fit_are_refused(name: str, options: dict[str, Any]) -> None:
    mixer = build_mixer(name, np.array([1, 2, 1, 2], np.uint16), VOCAB, options)
    with pytest.raises(ValueError, match="have 2 scores"):
        mixer.log_prob(2, BaseScores(np.zeros(3), np.zeros(3), np.zeros(3)))
    with pytest.raises(ValueError, match="not in a vocabulary"):
        build_mixer(name, np.array([1, VOCAB], np.uint16), VOCAB, options)


@every_mixer
def test_scores_are_finite_where_the_network_is_sure_of_another_token(name: str, options: dict[str, Any]) -> None:
    tokens = np.tile(np.array([1, 2, 3, 0], np.uint16), 20)
    log_probs = np.full((len(tokens) - 1, VOCAB), -2000.0)
    log_probs[:, 4] = 0.0
    mixer, scores, _ = walk(name, tokens, log_probs, settings=options)
    assert np.isfinite(scores).all()
    assert mixer.position == len(tokens) - 1
