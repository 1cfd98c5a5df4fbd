"""What a person sees while an evaluation runs: bars on a terminal, heartbeat lines elsewhere. All on standard error."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Display(Protocol):
    """The stages of an evaluation, as they happen."""

    def note(self, text: str) -> None:
        """One line worth knowing."""

    def stage(self, name: str) -> None:
        """A stage without measurable progress begins."""

    def scoring(self, position: int, positions: int, bpb: float | None) -> None:
        """``position`` of ``positions`` are credited, at ``bpb`` so far."""

    def clock(self, seconds: float, limit: float) -> None:
        """The parent's clock stands at ``seconds`` of ``limit``."""


class Lines:
    """Heartbeat lines: one at once for each stage, then one every ``every`` seconds."""

    def __init__(self, every: float = 10.0) -> None:
        self._every = every
        self._last = time.monotonic()
        self._state = ""
        self._began: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        return None

    def note(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - this is the display

    def stage(self, name: str) -> None:
        """Print the stage."""
        self.note(f"evaluate: {name}")

    def scoring(self, position: int, positions: int, bpb: float | None) -> None:
        """Remember how far scoring is."""
        now = time.monotonic()
        self._began = self._began or now
        share = position / positions
        left = f", about {(now - self._began) * (1 - share) / share:.0f} s left" if 0 < share < 1 else ""
        score = "" if bpb is None else f", {bpb:.4f} bpb so far"
        self._state = f"{position:,} of {positions:,} positions ({share:.0%}){score}{left}"

    def clock(self, seconds: float, limit: float) -> None:
        """Print a heartbeat when one is due."""
        if time.monotonic() - self._last >= self._every:
            self._last = time.monotonic()
            self.note(f"evaluate: {seconds:.0f} of {limit:.0f} s used; {self._state or 'reading the data'}")


class Bars:
    """Progress bars with the time left, for a terminal: one for the stream, one for the budget."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=32),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[detail]}"),
            console=console,
            transient=True,
        )
        self._stage: TaskID | None = None
        self._stream: TaskID | None = None
        self._budget: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(text, markup=False, highlight=False)

    def stage(self, name: str) -> None:
        """Show a pulsing bar for the stage."""
        if self._stage is not None:
            self._progress.remove_task(self._stage)
        self._stage = self._progress.add_task(name, total=None, detail="")

    def scoring(self, position: int, positions: int, bpb: float | None) -> None:
        """Move the stream's bar."""
        if self._stage is not None:
            self._progress.remove_task(self._stage)
            self._stage = None
        if self._stream is None:
            self._stream = self._progress.add_task("score", total=positions, detail="")
        detail = "" if bpb is None else f"{bpb:.4f} bpb so far"
        self._progress.update(self._stream, completed=position, detail=detail)

    def clock(self, seconds: float, limit: float) -> None:
        """Move the budget's bar and its countdown."""
        if self._budget is None:
            self._budget = self._progress.add_task("time budget", total=limit, detail="")
        self._progress.update(self._budget, completed=seconds, detail=f"{max(limit - seconds, 0):.0f} s of budget left")


def make_display() -> Lines | Bars:
    """Bars if standard error is a terminal, else heartbeat lines."""
    console = Console(stderr=True)
    return Bars(console) if console.is_terminal else Lines()
