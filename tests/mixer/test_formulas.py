"""Small cases worked out by hand, and the hints against a search through the prefix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mixer_walk import VOCAB, streams

from evaluator.ledger import Tokens
from evaluator.mixer import BaseScores, build_mixer
from evaluator.mixer.counts import CausalCounts

TOKENS = np.array([0, 1, 0, 1, 0, 2], np.uint16)  # at position 4 the context 0 was followed by 1 twice, by 2 never


def uniform(name: str, stop: int, entropy: float, options: dict[str, float]) -> list[float]:
    """Probabilities of the targets of ``TOKENS`` over a uniform base of four tokens."""
    mixer = build_mixer(name, TOKENS, 4, options)
    base = np.full(stop, -np.log(4.0))
    return [float(p) for p in np.exp(mixer.log_prob(stop, BaseScores(base, np.full(stop, entropy), base)))]


def test_backoff() -> None:
    alpha = 0.05 + 0.55 / 2  # at an entropy of 4 nats
    p = uniform("backoff", 5, 4.0, {})
    assert p[:4] == pytest.approx([0.25] * 4)  # no context occurred twice yet
    assert p[4] == pytest.approx((1 - alpha) * 0.25)
    assert uniform("backoff", 4, 4.0, {"min_count": 1})[2:] == pytest.approx([(1 - alpha) / 4 + alpha] * 2)


def test_pitman_yor() -> None:
    p = uniform("pitman_yor", 2, 0.0, {"order": 1, "openness": 0.5})
    empty = 0.5  # the first discount; concentrations are the power of two below the count: 1, 2
    first = (empty * 1 + 1.0) * 0.25 / (1 + 1)  # n = 1, D = 1, m = 0
    second = (max(1 - empty, 0.0) + (2.0 + empty * 2) * 0.25) / (2 + 2)  # n = 2, D = 2, m = 1; 1 was not a context yet
    assert p == pytest.approx([first, second])


def test_tilt() -> None:
    p = uniform("tilt", 5, 0.0, {"beta": 2.0})
    boosted = np.exp(2.0) / (3 + np.exp(2.0))
    assert p[:2] == pytest.approx([0.25] * 2)  # nothing was seen twice: no hint
    assert p[2:4] == pytest.approx([boosted] * 2)
    assert p[4] == pytest.approx((1 - boosted) / 3)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(streams(), st.integers(1, 6), st.integers(1, 3))
def test_the_hint_is_the_commonest_follower_of_the_longest_context(tokens: Tokens, order: int, min_count: int) -> None:
    mixer = build_mixer("tilt", tokens, VOCAB, {"order": order, "min_count": min_count})
    assert mixer.hints is not None
    counts = CausalCounts(tokens, order)
    for p, hint in enumerate(mixer.hints.tolist()):
        contexts = [m for m in counts.followers(p, VOCAB)[1:] if m.sum() >= min_count]
        if contexts:
            assert contexts[-1][hint] == contexts[-1].max()
        else:
            assert hint == -1
