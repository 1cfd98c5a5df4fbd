"""Scores of a published run: entered in any order and as often as the system likes, unlike the ledger's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evaluator.ledger import Nanonats, to_fixed_point
from evaluator.scoring.adapt import ByteCounts
from evaluator.violations.readout import Float64

SAMPLES = 1024
"""Positions, evenly spread, at which the whole of what stands for a distribution is summed up."""

_REPORTS = 64


class Scores:
    """Adds up what a published system reports, second scores included, as its own sum does.

    Args:
        credited: bytes of each target, uint16 ``(T,)``.
        report: called about 64 times along the stream.

    Attributes:
        nll: the first score of each position, int64 ``(T,)``.
        total, scored, credited_bytes: sums over all scores.
        position: positions entered so far, in whatever order.
        masses: position, ``sum_v p(v)`` and ``|p(target) - exp(-nll)|`` of each sample.
    """

    def __init__(self, credited: ByteCounts, report: Callable[[Scores], None]) -> None:
        self.credited, self.report = credited, report
        self.nll: Nanonats = np.zeros(len(credited), np.int64)
        self._times = np.zeros(len(credited), np.int32)
        self.total = self.scored = self.credited_bytes = self.position = 0
        self.masses: list[tuple[int, float, float]] = []
        self._every = max(len(credited) // SAMPLES, 1)
        self._reported = 0

    @property
    def exactly_once(self) -> bool:
        """Whether every position was scored exactly once."""
        return bool((self._times == 1).all())

    def samples(self, first: int, stop: int) -> range:
        """Positions within ``first .. stop - 1`` to be summed up."""
        return range(-(-first // self._every) * self._every, stop, self._every)

    def sum_up(self, position: int, target: int, p: Float64, nll: float) -> None:
        """Note the sum of ``p`` ``(V,)``, of which ``exp(-nll)`` was scored for ``target``; first scores only."""
        if self._times[position] == 0:
            self.masses.append((position, float(p.sum()), abs(float(p[target]) - float(np.exp(-nll)))))

    def enter(self, first: int, nll: Float64) -> None:
        """Add the scores (nats) of positions ``first ..``."""
        here = slice(first, first + len(nll))
        units = to_fixed_point(nll)
        fresh = self._times[here] == 0
        self.nll[here][fresh] = units[fresh]
        self._times[here] += 1
        self.total += int(units.sum())
        self.scored += len(units)
        self.credited_bytes += int(self.credited[here].sum(dtype=np.int64))
        self.position += int(fresh.sum())
        reports = self.position * _REPORTS // len(self.credited)
        if reports > self._reported:
            self._reported = reports
            self.report(self)
