"""Whether mixing earns its place: it must help a base that knows little and not hurt one that knows everything."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from evaluator.ledger import Ledger, Tokens, to_fixed_point
from evaluator.mixer import BaseScores, build_mixer

Float64 = npt.NDArray[np.float64]

CHUNK = 4096
VOCAB = 1024


def bits_per_token(
    name: str,
    tokens: Tokens,
    row: Callable[[int], Float64] | None = None,
    settings: dict[str, Any] | None = None,
) -> float:
    """Mean score over a base whose log-probabilities depend on the last token: ``row(token)``; uniform without it."""
    table = np.full((1, VOCAB), -math.log(VOCAB)) if row is None else np.stack([row(token) for token in range(VOCAB)])
    last = np.zeros(len(tokens) - 1, np.int64) if row is None else tokens[:-1].astype(np.int64)
    target = table[last, tokens[1:]]
    entropy = -(np.exp(table) * table).sum(axis=1)[last]
    mixer = build_mixer(name, tokens, VOCAB, settings or {})
    hint = target if mixer.hints is None else table[last, np.maximum(mixer.hints, 0)]
    ledger = Ledger(tokens)
    total = 0.0
    with ThreadPoolExecutor(1) as ahead:
        for start in range(0, ledger.positions, CHUNK):
            stop = min(start + CHUNK, ledger.positions)
            counting = ahead.submit(mixer.prepare, min(stop + CHUNK, ledger.positions))  # beside the scoring
            scores = mixer.log_prob(stop, BaseScores(target[start:stop], entropy[start:stop], hint[start:stop]))
            mixer.learn(ledger.credit(start, to_fixed_point(np.maximum(-scores, 0.0))))
            counting.result()
            total -= float(scores.sum())
    return total / math.log(2.0) / ledger.positions


def bigram(tokens: Tokens) -> Callable[[int], Float64]:
    """A "trained network": absolute discounting over the bigrams and unigrams of ``tokens``."""
    pairs = np.zeros((VOCAB, VOCAB))
    np.add.at(pairs, (tokens[:-1], tokens[1:]), 1.0)
    unigram = np.bincount(tokens, minlength=VOCAB) + 0.5
    unigram /= unigram.sum()
    seen = (pairs > 0).sum(axis=1, keepdims=True)
    p = (np.maximum(pairs - 0.7, 0.0) + (1.0 + 0.7 * seen) * unigram) / (pairs.sum(axis=1, keepdims=True) + 1.0)
    return lambda token: np.asarray(np.log(p[token]))


@pytest.mark.parametrize(("order", "bits"), [(3, 6.26), (6, 6.24)])
def test_counts_alone_predict_real_text(real_tokens: Tokens, order: int, bits: float) -> None:
    assert bits_per_token("pitman_yor", real_tokens, settings={"order": order}) < bits
    fixed = bits_per_token("pitman_yor", real_tokens, settings={"order": order, "rate": 0.0, "openness": 0.5})
    assert bits_per_token("pitman_yor", real_tokens, settings={"order": order, "openness": 0.5}) < fixed


@pytest.mark.parametrize("name", ["pitman_yor", "tilt"])
def test_mixing_helps_a_base_that_was_trained_on_other_text(real_tokens: Tokens, name: str) -> None:
    seen, unseen = real_tokens[:50_001], real_tokens[50_000:]
    base = bigram(seen)
    assert bits_per_token(name, unseen, base) < bits_per_token("none", unseen, base) - 0.05


@pytest.mark.parametrize(("name", "bits"), [("pitman_yor", 5e-4), ("tilt", 2e-3)])
def test_mixing_does_not_hurt_a_base_that_knows_the_source(name: str, bits: float) -> None:
    generator = np.random.default_rng(11)
    source = np.zeros((VOCAB, VOCAB))
    for row in source[:64]:
        row[generator.choice(64, 8, replace=False)] = generator.dirichlet(np.full(8, 0.5))
    source[64:, :64] = 1 / 64
    source = 0.999 * source + 0.001 / VOCAB  # every token stays possible
    cumulative = source.cumsum(axis=1)
    tokens = np.zeros(60_001, np.uint16)
    for p, u in enumerate(generator.random(60_000)):
        tokens[p + 1] = min(int(np.searchsorted(cumulative[tokens[p]], u)), VOCAB - 1)

    def truth(token: int) -> Float64:
        return np.asarray(np.log(source[token]))

    assert bits_per_token(name, tokens, truth) < bits_per_token("none", tokens, truth) + bits
