"""Forked children: limits of one, waiting for one, and the end of all that it started."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_WALL_PER_CPU = 4.0
"""Seconds of waiting per CPU second allowed: the machine may be busy, a sleeping child must end all the same."""

# The clock that the submission sees is not ours.
_now, _sleep = time.monotonic, time.sleep


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended: its exit status, negative for a signal; ``late`` when it was killed for its time."""

    returncode: int
    late: bool
    seconds: float
    cpu_seconds: float

    @property
    def cost(self) -> float:
        """CPU seconds of a budget: those that it used, or what it could have used while it slept."""
        return max(self.cpu_seconds, self.seconds / _WALL_PER_CPU)


def adopt_orphans() -> None:
    """Make this process the parent of what its descendants leave behind, so that it can be found and killed."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Child:
    """A forked child that nobody has waited for.

    Attributes:
        pid: of the child.
        deadline: when it is killed, on this module's clock.
        start: when it was forked.
        siblings: children that were there before.
        cpu_before: CPU seconds of the children waited for before.
    """

    pid: int
    deadline: float
    start: float
    siblings: frozenset[int]
    cpu_before: float

    def wait(self) -> End:
        """Wait until it has ended or its time is up, then end all that it has left behind."""
        late = _kill_late(self.pid, self.deadline)
        _, status = os.waitpid(self.pid, 0)
        _kill_strays(self.siblings)
        code = os.waitstatus_to_exitcode(status)
        return End(code, late or code == -signal.SIGXCPU, _now() - self.start, _cpu_of_children() - self.cpu_before)


def fork(timeout: float, wall: float | None = None) -> Child | None:
    """Fork; None in the child.

    Args:
        timeout: CPU seconds that the child itself may take.
        wall: seconds until it is killed; None for what ``timeout`` takes on a busy machine.
    """
    siblings, cpu, start = frozenset(_children()), _cpu_of_children(), _now()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    pid = os.fork()
    if pid:
        return Child(pid, start + (wall or _WALL_PER_CPU * timeout), start, siblings, cpu)
    adopt_orphans()
    limit_cpu(timeout)
    return None


def run_forked(body: Callable[[], None], timeout: float, wall: float | None = None) -> End:
    """Run ``body`` in a child, as ``fork``; the child exits behind it, with status 1 if it raised."""
    child = fork(timeout, wall)
    if child is not None:
        return child.wait()
    status = 1
    try:
        body()
        status = 0
    finally:
        os._exit(status)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def limit_cpu(seconds: float) -> None:
    """Have the kernel end this process after ``seconds`` of CPU from now."""
    used = time.clock_gettime(time.CLOCK_PROCESS_CPUTIME_ID)
    soft = int(used + seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard == resource.RLIM_INFINITY or soft + 1 < hard:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, soft + 1))


def _kill_late(child: int, deadline: float) -> bool:
    """Wait until ``child`` can be waited for; True if it had to be killed."""
    descriptor = os.pidfd_open(child)
    try:
        ready, _, _ = select.select([descriptor], [], [], max(deadline - _now(), 0.0))
        if not ready:
            os.kill(child, signal.SIGKILL)
        return not ready
    finally:
        os.close(descriptor)


def _children() -> set[int]:
    """Our children; where /proc is closed to us, none."""
    with suppress(OSError):
        found: set[int] = set()
        for task in Path("/proc/self/task").iterdir():
            found.update(map(int, (task / "children").read_text().split()))
        return found
    return set()


def _kill_strays(before: frozenset[int]) -> None:
    """Kill what a dead child has left to us, and what that leaves in turn."""
    while strays := _children() - before:
        for stray in strays:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(stray, signal.SIGKILL)
                os.waitpid(stray, 0)
