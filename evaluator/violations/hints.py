"""The hints of pull request 2140: the favourite follower of the last 15 tokens, counted along the stream.

A hint depends on the prefix only; what the published run breaks lies elsewhere. Kept here because its counts are keyed
by a 64-bit hash of the context that is not verified, unlike those of :class:`evaluator.mixer.counts.CausalCounts`.
(systems.md 5.3, step A.)
"""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

from evaluator.ledger import Tokens

WIDTH = 15
_COEFFICIENTS = (
    36313, 27191, 51647, 81929, 131071, 196613, 262147, 393241, 524309, 655373, 786433, 917521, 1048583, 1179653,
    1310729,
)  # fmt: skip


def find_hints(tokens: Tokens, min_share: float) -> npt.NDArray[np.int32]:
    """The gated hint of every position, int32 ``(T,)``; -1: none.

    Args:
        tokens: uint16 ``(T + 1,)``.
        min_share: share of a context's occurrences that its favourite must have followed.
    """
    hints = np.full(len(tokens) - 1, -1, np.int32)
    totals: dict[int, int] = {}
    pairs: dict[tuple[int, int], int] = {}
    favourites: dict[int, tuple[int, int]] = {}
    stream = tokens.tolist()
    # The published ring begins with the first target, which therefore stands twice in the first context.
    ring = deque(stream[1:2], WIDTH)
    for position, target in enumerate(stream[1:]):
        if len(ring) == WIDTH:
            key = 0
            for token, coefficient in zip(ring, _COEFFICIENTS, strict=True):
                key ^= token * coefficient
            total = totals.get(key, 0)
            favourite, count = favourites.get(key, (-1, 0))
            if total and count / total >= min_share:
                hints[position] = favourite
            totals[key] = total + 1
            pairs[key, target] = pairs.get((key, target), 0) + 1
            if pairs[key, target] > count:
                favourites[key] = target, pairs[key, target]
        ring.append(target)
    return hints
