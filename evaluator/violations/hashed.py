"""The hashed n-gram tables of the published mixers: a ratio of two hash buckets, taken for the target alone (C2).

Per context length two tables of ``B`` counters, one bucket per context and one per (context, target) pair, each hashed
with loss and without a check of the key. ``min(pair, context) / context`` looks like a conditional probability, but
pairs of other contexts fall into the pair's bucket too: summed over the vocabulary it is not 1. With near-unique
contexts and ``lambda`` counted tokens per bucket the two counts are close to independent Poisson(lambda), and the sum
tends to ``V``. (systems.md 2.3 and 2.4; the hash is that of pull requests 779 and 940.)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaluator.ledger import Tokens

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Float64 = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]

MIN_ORDER, MAX_ORDER = 2, 7
WIDTHS = tuple(range(MIN_ORDER - 1, MAX_ORDER))
"""Context lengths of the orders 2 to 7."""

_MIN_COUNT = 2

FLOOR = 1e-12
"""The published codes raise what they take for a probability to this."""


def mixing_weight(entropy: Float64) -> Float64:
    """``alpha = 0.05 + 0.55 sigmoid(2 (H - 4))``, with the model's entropy ``H`` in nats."""
    return 0.05 + 0.55 / (1.0 + np.exp(-2.0 * (entropy - 4.0)))


class HashedCounts:
    """The tables.

    Args:
        buckets: ``B``, a power of two, per table.
        primes: seven multipliers, one per place in the context and one for the target.

    Raises:
        ValueError: ``buckets`` is not a power of two.
    """

    def __init__(self, buckets: int, primes: tuple[int, ...]) -> None:
        if buckets < 1 or buckets & (buckets - 1):
            raise ValueError(f"the hash keeps low bits: {buckets} buckets are not a power of two")
        self.buckets = buckets
        self.context = np.zeros((len(WIDTHS), buckets), np.uint32)
        self.pair = np.zeros((len(WIDTHS), buckets), np.uint32)
        self._primes = np.array(primes, np.uint64)

    def keys(self, tokens: Tokens, positions: Int64) -> UInt64:
        """``XOR_k u_k P[k]`` of the contexts that end at ``positions``, oldest token first; ``(orders, n)``.

        Where a context would begin before the stream its key is meaningless; see ``present``.
        """
        keys = np.zeros((len(WIDTHS), len(positions)), np.uint64)
        for order, width in enumerate(WIDTHS):
            for k in range(width):
                place = np.maximum(positions - width + 1 + k, 0)
                keys[order] ^= tokens[place].astype(np.uint64) * self._primes[k]
        return keys

    def update(self, keys: UInt64, targets: Tokens, present: Bool) -> None:
        """Count one occurrence of each context and pair; ``present`` ``(orders, n)`` says which to count."""
        for order in range(len(WIDTHS)):
            here = present[order]
            key = keys[order, here]
            np.add.at(self.context[order], self._bucket(key), 1)
            np.add.at(self.pair[order], self._bucket(key ^ self._hashed_target(order, targets[here])), 1)

    def ratio(self, keys: UInt64, targets: Tokens, present: Bool) -> tuple[Float64, Bool]:
        """``min(pair, context) / context`` of the longest context counted twice or more, and where there is one.

        Not a probability. ``targets`` ``(n,)`` are the tokens asked for, one per column of ``keys``.
        """
        found = np.zeros(len(targets))
        hit = np.zeros(len(targets), np.bool_)
        for order in reversed(range(len(WIDTHS))):
            context = self.context[order][self._bucket(keys[order])].astype(np.float64)
            pair = self.pair[order][self._bucket(keys[order] ^ self._hashed_target(order, targets))].astype(np.float64)
            here = present[order] & (context >= _MIN_COUNT) & ~hit
            found[here] = np.minimum(pair, context)[here] / context[here]
            hit |= here
        return found, hit

    def ratios(self, key: UInt64, vocab_size: int, present: Bool) -> tuple[Float64, bool]:
        """:meth:`ratio` of every token after one context, ``(V,)``: what the published code never computes.

        Args:
            key: ``(orders,)``.
            vocab_size: ``V``.
            present: ``(orders,)``.
        """
        shape = (len(WIDTHS), vocab_size)
        every = np.arange(vocab_size, dtype=np.uint16)
        found, hit = self.ratio(np.broadcast_to(key[:, None], shape), every, np.broadcast_to(present[:, None], shape))
        return found, bool(hit.all())  # whether a context hits does not depend on the target

    def _bucket(self, keys: UInt64) -> Int64:
        return (keys & np.uint64(self.buckets - 1)).astype(np.int64)

    def _hashed_target(self, order: int, targets: Tokens) -> UInt64:
        hashed: UInt64 = targets.astype(np.uint64) * self._primes[WIDTHS[order]]
        return hashed
