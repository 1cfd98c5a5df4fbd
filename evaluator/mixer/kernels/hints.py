"""One hint per position: the most frequent follower of the longest context seen before."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from evaluator.ledger import Tokens
from evaluator.mixer.kernels import trie
from evaluator.mixer.kernels.trie import COUNTED, PATH, Tables

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int16 = npt.NDArray[np.int16]

LENGTHS: Final = 6
"""Buckets of a context's length: 1, 2, 3, 4 or 5, 6 to 8, more. Fewer boosts are learned faster."""
COUNTS: Final = 4
"""Buckets of a context's count: 1, 2, 3 to 5, more."""
CONFIDENCES: Final = 4
"""Buckets of the hint's share of its context: under 1/2, under 4/5, under 19/20, more."""
BUCKETS: Final = LENGTHS * COUNTS * CONFIDENCES


@numba.njit(nogil=True, cache=True)
def bucket(k: int, n: int, m: int) -> int:
    """The bucket of a hint that followed ``m`` of the ``n`` occurrences of a context of ``k`` tokens."""
    length = k - 1 if k <= 3 else 3 if k <= 5 else 4 if k <= 8 else 5
    count = 0 if n == 1 else 1 if n == 2 else 2 if n <= 5 else 3
    confidence = 0 if 2 * m < n else 1 if 5 * m < 4 * n else 2 if 20 * m < 19 * n else 3
    return (length * COUNTS + count) * CONFIDENCES + confidence


@numba.njit(nogil=True, cache=True)
def find(
    tokens: Tokens, stop: int, tables: Tables, min_count: int, min_confidence: float, hints: Int32, buckets: Int16
) -> None:
    """Write hints and buckets, -1 for none, of positions ``state[COUNTED] .. stop - 1`` or as far as there is room."""
    tops, state, path, seen = tables.tops, tables.state, tables.path, tables.seen
    for p in range(state[COUNTED], stop):
        if not trie.has_room(tables):
            return
        hints[p] = buckets[p] = -1
        k = state[PATH] - 1
        while k > 0 and seen[k] < min_count:
            k -= 1
        if k > 0 and tops[path[k], 1] >= min_confidence * seen[k]:
            hints[p] = tops[path[k], 0]
            buckets[p] = bucket(k, seen[k], tops[path[k], 1])
        trie.enter(tokens, p + 1, tables)


@numba.njit(nogil=True, cache=True)
def score(target: Float64, hint: Float64, hit: Bool, buckets: Int16, betas: Float64, out: Float64) -> None:
    """``log p'(y) = log p(y) + beta [y = h] - log(1 + p(h) (e^beta - 1))``."""
    for i in range(len(target)):
        out[i] = target[i]
        if buckets[i] >= 0:
            beta = betas[buckets[i]]
            out[i] += (beta if hit[i] else 0.0) - np.log1p(np.exp(hint[i]) * np.expm1(beta))


@numba.njit(nogil=True, cache=True)
def add_gradient(hint: Float64, hit: Bool, buckets: Int16, betas: Float64, out: Float64) -> None:
    """Add to ``out``, by bucket, the derivative of the summed log-likelihood by beta: ``[y = h] - p'(h)``."""
    for i in range(len(hint)):
        if buckets[i] >= 0:
            boosted = np.exp(hint[i]) * np.exp(betas[buckets[i]])
            out[buckets[i]] += (1.0 if hit[i] else 0.0) - boosted / (1.0 - np.exp(hint[i]) + boosted)
