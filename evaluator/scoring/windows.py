"""Window plans W-A, W-B and W-C: in which context each position is scored (systems.md 0.5).

A plan is a list of windows. Window ``i`` feeds positions ``start[i] .. start[i] + S - 1`` (cut at ``T``) to the network
and scores positions ``first[i] .. stop[i] - 1`` of them. The first window scores all it sees, later ones only their
last ``s`` positions.

========  =================================================  ==================================================
plan      starts                                             coverage
========  =================================================  ==================================================
``W-A``   every multiple of ``s`` below ``T``                the last ``s`` positions again by the last windows
``W-B``   multiples of ``s`` up to ``T - S``, then ``T - S``  once if ``s`` divides ``T``
``W-C``   multiples of ``s`` with ``w + S - s < T``          exactly once, any ``T``
========  =================================================  ==================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from evaluator.settings import WindowSettings

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WindowPlan:
    """The windows of one stream.

    Attributes:
        positions: number of positions ``T``.
        length: window length ``S``.
        stride: ``s``.
        start, first, stop: int64, shape ``(windows,)``; see the module's docstring.
    """

    positions: int
    length: int
    stride: int
    start: Int64
    first: Int64
    stop: Int64

    def __len__(self) -> int:
        return len(self.start)

    def coverage(self) -> Int64:
        """How often each position is scored, int64 ``(positions,)``."""
        edges = np.zeros(self.positions + 1, np.int64)
        np.add.at(edges, self.first, 1)
        np.add.at(edges, self.stop, -1)
        return np.cumsum(edges[:-1])

    def exactly_once(self) -> bool:
        """Whether each position is scored exactly once (C4); no other plan can give an official score."""
        return bool((self.coverage() == 1).all())

    def chunks(self, size: int) -> list[range]:
        """Windows by chunk: a window belongs to chunk ``first // size``; ranges of window indices, in order.

        ``size`` must be a multiple of the stride and at least ``length`` so that no window straddles two chunks.
        """
        # W-A goes on with windows that score the end again: they stay in the chunk of the window that reached it first.
        reached = int(np.searchsorted(self.stop, self.positions)) + 1
        bounds = np.searchsorted(self.first[:reached], np.arange(0, self.positions + size, size)).tolist()
        chunks = [range(a, b) for a, b in pairwise(bounds) if a < b]
        return [*chunks[:-1], range(chunks[-1].start, len(self))]


def plan_windows(settings: WindowSettings, positions: int) -> WindowPlan:
    """The windows that ``settings`` lay over a stream of ``positions`` positions.

    Raises:
        ValueError: ``positions`` is not positive.
    """
    if positions < 1:
        raise ValueError("a stream without positions cannot be scored")
    length, stride = settings.length, settings.stride
    match settings.plan:
        case "W-A":
            start = np.arange(0, positions, stride, dtype=np.int64)
        case "W-B":
            start = np.arange(0, max(positions - length, 0) + 1, stride, dtype=np.int64)
            if positions > length and start[-1] != positions - length:
                start = np.append(start, positions - length)
        case "W-C":
            start = np.arange(0, max(positions - (length - stride), 1), stride, dtype=np.int64)
    stop = np.minimum(start + length, positions)
    if settings.plan == "W-C":
        first = start + (length - stride)
    else:
        first = stop - np.minimum(stride, stop - start)
    first[0] = 0
    return WindowPlan(positions, length, stride, start, first, stop)
