"""Source lines with the evidence path laid over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.report.document import FindingEntry, Place

_CONTEXT = 3
_MOST_STEPS = 60
_MOST_WINDOWS = 12


@dataclass(frozen=True, slots=True)
class Row:
    """A line of source; ``marks`` are the steps that stand on it: number (0 for a finding without a path) and why."""

    number: int
    text: str
    marks: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive lines of one file; ``place`` is the first marked one."""

    place: Place
    rows: tuple[Row, ...]


def windows(finding: FindingEntry, sources: Mapping[str, Sequence[str]]) -> tuple[Window, ...]:
    """The lines around each step, in order of the path; steps that follow each other closely share a window.

    Args:
        finding: with or without a path.
        sources: lines of each file; of a file that is not there, only the steps' own lines are shown.
    """
    steps: list[tuple[Place, tuple[int, str]]] = [
        (step, (number, step.why)) for number, step in enumerate(finding.path[:_MOST_STEPS], 1)
    ]
    if not steps and finding.line:
        steps = [(finding, (0, ""))]
    runs: list[list[tuple[Place, tuple[int, str]]]] = []
    for step in steps:
        if runs and _near(runs[-1], step[0]):
            runs[-1].append(step)
        else:
            runs.append([step])
    return tuple(_window(run, sources) for run in runs[:_MOST_WINDOWS])


def _near(run: Sequence[tuple[Place, object]], place: Place) -> bool:
    lines = [known.line for known, _ in run]
    return run[0][0].file == place.file and min(lines) - 2 * _CONTEXT <= place.line <= max(lines) + 2 * _CONTEXT


def _window(run: Sequence[tuple[Place, tuple[int, str]]], sources: Mapping[str, Sequence[str]]) -> Window:
    marks: dict[int, tuple[tuple[int, str], ...]] = {}
    texts: dict[int, str] = {}
    for place, mark in run:
        marks[place.line] = (*marks.get(place.line, ()), mark)
        texts[place.line] = place.text
    lines = sources.get(run[0][0].file, ())
    numbers = sorted(marks)
    if lines:
        first, last = max(1, numbers[0] - _CONTEXT), min(len(lines), numbers[-1] + _CONTEXT)
        texts = {number: lines[number - 1][:400] for number in range(first, last + 1)} | {
            number: texts[number] for number in numbers if number > len(lines)
        }
    return Window(run[0][0], tuple(Row(number, texts[number], marks.get(number, ())) for number in sorted(texts)))
