"""What a person sees of a build, on standard error: a bar with the time left, or heartbeat lines."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

HEARTBEAT_SECONDS: Final = 10.0


class Report(Protocol):
    """How a stage tells how far it is."""

    def __call__(self, done: int, total: int, detail: str = "") -> None:
        """``done`` of ``total`` units are finished; ``detail`` is worth showing."""


class Stage:
    """One stage of the build, as a context; :meth:`report` moves its bar or prints a heartbeat when one is due.

    Args:
        name: what is being done, such as ``"train"``.
        console: of standard error; decides between a bar and lines.
    """

    def __init__(self, name: str, console: Console) -> None:
        self._name = name
        self._began = self._beat = time.monotonic()
        self._bar = _bar(console) if console.is_terminal else None
        self._detail = ""

    def __enter__(self) -> Self:
        if self._bar is None:
            _line(f"{self._name} ...")
        else:
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=None, detail="")
        return self

    def report(self, done: int, total: int, detail: str = "") -> None:
        """``done`` of ``total`` units are finished."""
        self._detail = detail
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, detail=detail)
            return
        now = time.monotonic()
        if now - self._beat >= HEARTBEAT_SECONDS and 0 < done < total:
            self._beat = now
            left = (now - self._began) * (total - done) / done
            _line(f"{self._name}: {done:,} of {total:,}, about {left:.0f} s left{_comma(detail)}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if error is None:
            _line(f"{self._name}: done in {time.monotonic() - self._began:.1f} s{_comma(self._detail)}")


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("mini contest: {task.description:<10}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[detail]}"),
        console=console,
        transient=True,
    )


def _comma(detail: str) -> str:
    return f", {detail}" if detail else ""


def _line(text: str) -> None:
    print(f"mini contest: {text}", file=sys.stderr, flush=True)  # noqa: T201 - this is the display
