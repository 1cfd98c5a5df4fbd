"""A published score, reproduced: our reading of the validation tokens and exact arithmetic agree with somebody else's.

The artifact holds unigram, bigram and bucketed trigram counts of 90 million training tokens; a target scores
``w . (P1, P2, P3)`` with ``P = (count + alpha / V) / (total + alpha)``; the first token of a chunk falls back to the
unigram and the second to the bigram.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from evaluator.ledger import Tokens

VOCAB = 1024
CHUNK = 8192
PUBLISHED_NATS = 277494.23437665706
PUBLISHED_FIRST_CHUNK = 34394.62213477679


def smoothed(table: npt.NDArray[np.uint32], context: npt.NDArray[np.int64], target: Tokens) -> npt.NDArray[np.float64]:
    totals = table.sum(axis=1, dtype=np.uint64)
    return np.asarray((table[context, target] + 0.5 / VOCAB) / (totals[context] + 0.5))


def chunk_nats(artifact: dict[str, npt.NDArray[np.uint32]], weights: npt.NDArray[np.float64], chunk: Tokens) -> float:
    """Sum of the negative log-likelihoods of all tokens of ``chunk``, the first included."""
    unigram = artifact["ngram_unigram_counts"][None]
    bigram, trigram = artifact["ngram_bigram_counts"], artifact["ngram_trigram_counts"]
    left, right = np.roll(chunk, 2).astype(np.uint64), np.roll(chunk, 1).astype(np.uint64)
    bucket = ((left * np.uint64(1315423911)) ^ (right * np.uint64(2654435761))) % np.uint64(len(trigram))
    p1 = smoothed(unigram, np.zeros(len(chunk), np.int64), chunk)
    p2 = smoothed(bigram, right.astype(np.int64), chunk)
    p3 = smoothed(trigram, bucket.astype(np.int64), chunk)
    p2[0] = p1[0]
    p3[:2] = p1[0], p2[1]
    return -float(np.log(weights @ np.stack([p1, p2, p3])).sum())


def test_published_score_of_an_ngram_artifact(real_data: Path, real_tokens: Tokens) -> None:
    with np.load(real_data / "golden_ngram_pr998.npz") as archive:
        artifact = {name: archive[name] for name in archive.files}
    weights = artifact["mixture_weights"].astype(np.float64)
    nats = [chunk_nats(artifact, weights, real_tokens[start : start + CHUNK]) for start in range(0, 8 * CHUNK, CHUNK)]
    assert nats[0] == pytest.approx(PUBLISHED_FIRST_CHUNK, rel=1e-8)
    assert sum(nats) == pytest.approx(PUBLISHED_NATS, rel=1e-8)
