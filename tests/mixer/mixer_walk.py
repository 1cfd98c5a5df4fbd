"""Walking a mixer along a stream the way the scorer does, and the counts that a dictionary gives."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from evaluator.ledger import Ledger, Tokens, to_fixed_point
from evaluator.mixer import BaseScores, Mixer, build_mixer

Float64 = npt.NDArray[np.float64]

VOCAB = 5


@st.composite
def streams(draw: st.DrawFn, max_size: int = 60) -> Tokens:
    """Short streams over :data:`VOCAB` tokens: random, constant, periodic, and with long repeats."""
    ids = st.integers(0, VOCAB - 1)
    kind = draw(st.sampled_from(["random", "constant", "periodic", "repeats"]))
    if kind == "random":
        tokens = draw(st.lists(ids, min_size=2, max_size=max_size))
    elif kind == "constant":
        tokens = [draw(ids)] * draw(st.integers(2, max_size))
    else:
        phrase = draw(st.lists(ids, min_size=1, max_size=25))
        tokens = phrase * (1 + max_size // len(phrase))
        if kind == "repeats":
            noise = draw(st.lists(st.integers(0, len(tokens) - 1), max_size=4))
            for where in noise:
                tokens[where] = (tokens[where] + 1) % VOCAB
        tokens = tokens[: max(2, max_size)]
    return np.array(tokens, np.uint16)


def network(tokens: Tokens, seed: int, vocab: int = VOCAB) -> Float64:
    """A causal "network": log-probabilities ``(T, vocab)`` that depend on the last two tokens and on the seed."""
    table = np.random.default_rng(seed).normal(0.0, 2.0, (vocab, vocab, vocab))
    before = np.concatenate([[0], tokens[:-2]])
    logits = table[before, tokens[:-1]]
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def base_scores(mixer: Mixer, tokens: Tokens, log_probs: Float64, start: int, stop: int) -> BaseScores:
    """What the scorer would hand to ``mixer`` for positions ``start .. stop - 1``."""
    rows = log_probs[start:stop]
    here = np.arange(stop - start)
    entropy = -(np.exp(rows) * rows).sum(axis=1) if mixer.needs_entropy else None
    hint = None if mixer.hints is None else rows[here, np.maximum(mixer.hints[start:stop], 0)]
    return BaseScores(rows[here, tokens[start + 1 : stop + 1]], entropy, hint)


def walk(
    name: str,
    tokens: Tokens,
    log_probs: Float64,
    *,
    settings: dict[str, Any] | None = None,
    chunk: int = 16,
    cuts: Iterable[int] = (),
    prepare: bool = False,
) -> tuple[Mixer, Float64, list[Float64]]:
    """Score a whole stream, learning at the ends of chunks.

    Args:
        cuts: positions where a call of ``log_prob`` ends too.

    Returns:
        the mixer at the end, the log-probabilities ``(T,)``, and the distribution at every position where a call began.
    """
    mixer = build_mixer(name, tokens, log_probs.shape[1], settings or {})
    ledger = Ledger(tokens)
    scores, full = [], []
    for start in range(0, ledger.positions, chunk):
        end = min(start + chunk, ledger.positions)
        if prepare:
            mixer.prepare(end)
        chunk_scores = []
        stops = sorted({cut for cut in cuts if start < cut < end} | {end})
        for stop in stops:
            row = log_probs[mixer.position]
            full.append(mixer.distribution(row, float(-(np.exp(row) * row).sum())))
            chunk_scores.append(mixer.log_prob(stop, base_scores(mixer, tokens, log_probs, mixer.position, stop)))
        scores.extend(chunk_scores)
        nll = np.maximum(-np.concatenate(chunk_scores), 0.0)
        mixer.learn(ledger.credit(start, to_fixed_point(nll)))
    return mixer, np.concatenate(scores), full


def dictionary_counts(tokens: Tokens, order: int) -> npt.NDArray[np.int64]:
    """The rows of ``CausalCounts`` for the whole stream, int64 ``(T, order + 1, 3)``, from a dictionary."""
    followers: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    followers[()][int(tokens[0])] += 1
    rows = np.zeros((len(tokens) - 1, order + 1, 3), np.int64)
    for p in range(len(tokens) - 1):
        target = int(tokens[p + 1])
        for k in range(min(order, p + 1) + 1):
            seen = followers[tuple(tokens[p - k + 1 : p + 1].tolist())]
            rows[p, k] = seen.total(), len(seen), seen[target]
            seen[target] += 1
    return rows
