"""Losses that the submission adds up number by number, in plain Python: a loop that no tensor goes through.

Their sum is a local variable of a function. While the function runs, each change of the variable is recorded as a
reduction of one element; whether it is a loss is decided later, as for every other reduction.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, FunctionType
from typing import Any

import numpy as np

from auditor.probe.inside.tap import TAP
from auditor.probe.record import Site

_MOST_LINES = 200_000
"""Executed lines of one call that are looked at: the toy stream's bytes some hundred times over."""


def watch(namespace: dict[str, Any], accumulators: Mapping[str, Sequence[str]]) -> None:
    """Watch variables of top-level functions: ``accumulators`` has their names by the function's."""
    for name, variables in accumulators.items():
        function = namespace.get(name)
        if isinstance(function, FunctionType):
            namespace[name] = _watched(function, variables)


def _watched(function: FunctionType, variables: Sequence[str]) -> Callable[..., Any]:
    code = inspect.unwrap(function).__code__

    @functools.wraps(function)
    def watched(*arguments: Any, **named: Any) -> Any:
        outer = sys.gettrace()
        sys.settrace(lambda frame, *_: _Watch(frame, variables).line if frame.f_code is code else None)
        try:
            return function(*arguments, **named)
        finally:
            sys.settrace(outer)

    return watched


class _Watch:
    """One call of a watched function."""

    def __init__(self, frame: FrameType, variables: Sequence[str]) -> None:
        code = frame.f_code
        file = code.co_filename.rpartition("/")[2]
        self._sites = {
            name: Site("plain", file, code.co_name, code.co_firstlineno, number)
            for number, name in enumerate(variables)
        }
        self._before: dict[str, Any] = {}
        self._lines = 0

    def line(self, frame: FrameType, event: str, _: Any) -> Any:
        """Look at the variables before each line, and when the function returns."""
        self._lines += 1
        if self._lines > _MOST_LINES:
            frame.f_trace_lines = False
            return None
        values = frame.f_locals
        for name, site in self._sites.items():
            value, before = values.get(name), self._before.get(name)
            if value is not before:
                self._before[name] = value
                if isinstance(value, (int, float)) and isinstance(before, (int, float)) and TAP.on:
                    TAP.event_at(site, np.array([value - before], np.float64))
        return self.line
