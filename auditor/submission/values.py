"""Values of the unwrapping interpreter: what is known, and where its data came from."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from auditor.submission.problems import Problem
from auditor.submission.pure import UNKNOWN, Bound, Dotted, Unknown


@dataclass(frozen=True, slots=True)
class Trace:
    """Where decoded data came from.

    Attributes:
        line: line of the literal, or of the read of a payload file.
        codecs: decoders applied so far.
        packed_bytes: length of what went into the first decoder.
        payload: name of the payload file, empty for a literal.
    """

    line: int
    codecs: tuple[str, ...] = ()
    packed_bytes: int = 0
    payload: str = ""


@dataclass(frozen=True, slots=True)
class HiddenCode:
    """Code that the script executes out of data.

    Attributes:
        name: name of the file it is written to first; empty for code that goes straight to ``exec``.
        text: the code.
        trace: where it came from.
    """

    name: str
    text: str
    trace: Trace


@dataclass(frozen=True, slots=True)
class EnvironmentWrite:
    """``os.environ`` set by the script: ``forced`` unless it only sets a default."""

    name: str
    value: str
    line: int
    forced: bool


@dataclass
class Unwrapped:
    """What a script was seen to execute, write, reach and set.

    Attributes:
        executed: code out of data, in order.
        reached: names of the submission's own files that it executes as code, with the line.
        environment: environment variables it sets to known values before anything else reads them.
        problems: what could not be unwrapped.
    """

    executed: list[HiddenCode] = field(default_factory=list)
    reached: list[tuple[str, int]] = field(default_factory=list)
    environment: list[EnvironmentWrite] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Value:
    """A known value and where its data came from."""

    data: Any
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class OpenFile:
    """An open file, by its path and mode."""

    path: str
    mode: str


@dataclass(frozen=True, slots=True)
class Function:
    """A function that the script defines."""

    node: ast.FunctionDef | ast.Lambda


NOTHING = Value(UNKNOWN)
"""A value known only at run time."""


def deepest(values: Sequence[Value]) -> Trace | None:
    """The trace of the most decoded of several values, the first of equals."""
    traces = [value.trace for value in values if value.trace is not None]
    return max(traces, key=lambda trace: len(trace.codecs), default=None)


def wrap(item: Any, trace: Trace | None) -> Value:
    """An item of a container as a value; one that carries no trace takes the container's."""
    return item if isinstance(item, Value) else Value(item, trace)


def plain(value: Any) -> Any:
    """A value without traces, items included; unknown where any part of it is."""
    data = value.data if isinstance(value, Value) else value
    if isinstance(data, Dotted | Bound | OpenFile | Function):
        return UNKNOWN
    if isinstance(data, dict):
        known = {key: plain(item) for key, item in data.items()}
        return UNKNOWN if any(isinstance(item, Unknown) for item in known.values()) else known
    if isinstance(data, list | tuple):
        items = [plain(item) for item in data]
        if any(isinstance(item, Unknown) for item in items):
            return UNKNOWN
        return items if isinstance(data, list) else tuple(items)
    return data
