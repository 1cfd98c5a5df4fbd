"""How far a sweep is: a bar where somebody watches, a line every half minute where nobody does."""

from __future__ import annotations

import time
from collections import Counter
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from auditor.sweep.messages import Answer

_HEARTBEAT = 30.0


class SweepProgress:
    """Progress over ``total`` audits on standard error."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._counts: Counter[str] = Counter()
        self._console = Console(stderr=True)
        self._start = self._spoken = time.monotonic()
        columns = (TextColumn("audited"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        rest = (TextColumn("eta"), TimeRemainingColumn(), TextColumn("{task.fields[counts]}"))
        self._bar = Progress(*columns, *rest, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("", total=total, counts="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def add(self, answer: Answer) -> None:
        """Count an answer."""
        self._counts[answer.outcome if answer.audit is None else answer.audit.verdict.value] += 1
        self._bar.update(self._task, advance=1, counts=self.counts)
        if not self._console.is_terminal and time.monotonic() - self._spoken >= _HEARTBEAT:
            self._spoken = time.monotonic()
            self._console.print(self._line(), highlight=False)

    @property
    def counts(self) -> str:
        """Such as ``3 violation, 1 timeout``."""
        return ", ".join(f"{count} {name}" for name, count in sorted(self._counts.items()))

    def _line(self) -> str:
        done = self._counts.total()
        spent = time.monotonic() - self._start
        left = spent / done * (self._total - done)
        return f"{done} of {self._total} audited in {spent:.0f} s, about {left:.0f} s left: {self.counts}"
