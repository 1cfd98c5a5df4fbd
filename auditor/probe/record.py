"""What one run of a submission's code left behind: the common language of the tap, the matcher and the checks.

The tap knows nothing about the code under test. It keeps, for every reduction that could be a sum of losses, where it
was called and the elements that went in; which of them made the printed score is found out afterwards, by arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

Status = Literal["ok", "exit", "error", "load-error", "no-main", "timeout", "memory"]
"""How a run ended: normally, by ``sys.exit``, by an exception in ``main`` or while the script loaded, without a
``main`` to call, over its time, out of memory."""

ENDED = ("ok", "exit")
"""Statuses of a run that came to its end; some scripts leave with ``sys.exit``."""


KERNEL = "kernel"
"""Kind of a site that is no reduction but an array that compiled code has written."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the submission's code that reduced some numbers.

    Attributes:
        kind: ``sum`` (torch, sum or mean), ``cross-entropy`` (recomputed without reduction), ``numpy`` (sum or mean),
            ``accumulate`` (added onto a 0-dimensional float64 tensor), ``plain`` (added onto a variable of Python's),
            :data:`KERNEL`.
        file: base name of the file; ``<packed>`` for code that was unpacked and executed.
        function: name of the function.
        line: 1-based; of a kernel, the argument that it wrote to.
        offset: bytecode offset of its beginning, which tells two reductions on one line apart.
    """

    kind: str
    file: str
    function: str
    line: int
    offset: int


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One reduction.

    Attributes:
        site: where.
        values: float64 [n], the elements before the reduction, in memory order.
        order: position among all events and lines of the run; it grows.
    """

    site: Site
    values: npt.NDArray[np.float64]
    order: int


@dataclass(frozen=True, slots=True)
class Line:
    """A line about a loss or a bpb that the code printed or logged; ``order`` as for events."""

    order: int
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One run, whole or from a forked call on.

    Attributes:
        status: how it ended.
        error: the end of the traceback, or what ended it; empty when all went well. Untrusted text.
        key: ``main``, or the probed call.
        events: by ``order``; for a forked call, those since its start.
        lines: by ``order``.
        returned: the numbers that the probed call returned, in order; empty for ``main`` unless it returns some.
        artifacts: SHA-256, in hex, of each file that the run wrote, by its name relative to the working directory.
        seconds: wall time.
        cpu_seconds: user and system time.
    """

    status: Status
    error: str
    key: str
    events: tuple[Event, ...] = ()
    lines: tuple[Line, ...] = ()
    returned: tuple[float, ...] = ()
    artifacts: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ForkedCall:
    """A call that was forked once per stream.

    Attributes:
        key: name of the function and of the functions among its arguments; ``load:NAME#K`` where the K-th load of the
            stream was forked, and the children went on to the end of ``main``.
        recordings: one per stream, in the order given; shorter where the budget ended.
    """

    key: str
    recordings: tuple[Recording, ...]


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """All that one server process ran.

    Attributes:
        full: one per variant, in order.
        calls: the forked calls of the base run, in order.
        tier: isolation that was in force.
        cpu_seconds: user and system time of everything; of what mostly slept, a quarter of the time that it took.
        problems: what could not be done, in words for people.
    """

    full: tuple[Recording, ...]
    calls: tuple[ForkedCall, ...]
    tier: str
    cpu_seconds: float
    problems: tuple[str, ...] = ()
