"""Toy streams: regular enough that caches and mixers engage, irregular enough that a network does not know them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

BOS = 1
"""Begins a document, as in the contest's data; 0 is the unknown token and 2 the end of a sentence."""

FIRST_TEXT_TOKEN = 3

_TRAIN_TOKENS = 100_000


def periodic_stream(
    vocabulary: int,
    length: int,
    *,
    seed: int = 0,
    period: int = 37,
    noise: float = 0.12,
    document: int = 90,
    quiet: Sequence[tuple[int, int]] = (),
) -> npt.NDArray[np.uint16]:
    """A repeated pattern with some tokens replaced at random, and BOS at the start of every document.

    Args:
        vocabulary: V; tokens are drawn from the text tokens below it.
        length: tokens.
        seed: of the pattern and of the noise.
        period: tokens of the pattern.
        noise: share of replaced tokens.
        document: tokens of a document, BOS included.
        quiet: half-open stretches without noise. Statistics of n-grams know what follows only there, so the tested
            positions must lie at the end of one, or the code under test never engages.

    Returns:
        uint16 [length].
    """
    random = np.random.default_rng(seed)
    tokens = np.resize(random.integers(FIRST_TEXT_TOKEN, vocabulary, size=period), length)
    replaced = random.random(length) < noise
    for begin, end in quiet:
        replaced[begin:end] = False
    tokens[replaced] = random.integers(FIRST_TEXT_TOKEN, vocabulary, size=int(replaced.sum()))
    tokens[::document] = BOS
    return tokens.astype(np.uint16)


def training_stream(vocabulary: int, *, seed: int = 5) -> npt.NDArray[np.uint16]:
    """The usual training stream, uint16 [100,000]: another pattern than the validation stream's, and noisier."""
    return periodic_stream(vocabulary, _TRAIN_TOKENS, seed=seed, period=61, noise=0.3)


def byte_counts(tokens: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Bytes per token, int64 [n], for a sidecar: 1 to 4 for text, 0 for the special tokens."""
    wide = tokens.astype(np.int64)
    return np.where(wide >= FIRST_TEXT_TOKEN, 1 + wide % 4, 0)
