"""The processes of one run: finding them all, and killing them all.

Two ways to hold a tree. In namespaces it is whatever lives in the pid namespace, and it dies with that namespace's
init. Otherwise it is a process group that nothing can leave, because the seccomp filter refuses setsid and setpgid;
a signal to a group reaches every member at once, so a fork bomb cannot outrun it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_GRACE_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class TreeSurvivedError(RuntimeError):
    """A killed tree did not die: a process hangs in the kernel."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as /proc/PID/stat shows it; ``cpu_seconds`` includes the children that it has waited for."""

    pid: int
    parent: int
    group: int
    zombie: bool
    cpu_seconds: float
    threads: int
    resident_bytes: int


def processes() -> Iterator[Process]:
    """Every process that this one can see."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        with suppress(OSError):
            stat = (folder / "stat").read_bytes()
            # The second field is the program's name in brackets, and may hold anything, brackets too.
            fields = stat[stat.rindex(b")") + 2 :].split()
            yield Process(
                pid=int(folder.name),
                parent=int(fields[1]),
                group=int(fields[2]),
                zombie=fields[0] in (b"Z", b"X"),
                cpu_seconds=sum(map(int, fields[11:15])) / _TICKS,
                threads=int(fields[17]),
                resident_bytes=int(fields[21]) * _PAGE,
            )


class GroupTree:
    """The process group led by ``leader``, a child of ours that nobody has waited for."""

    def __init__(self, leader: int) -> None:
        self.leader = leader

    def living(self) -> list[Process]:
        """The group's members that are not zombies."""
        return [process for process in processes() if process.group == self.leader and not process.zombie]

    def kill(self) -> None:
        """Kill every member and return when all are dead; the leader is left to be waited for.

        That it has not been waited for is what keeps its number, the group's name, from being given to others.

        Raises:
            TreeSurvivedError: after ten seconds.
        """
        deadline = time.monotonic() + _GRACE_SECONDS
        while time.monotonic() < deadline:
            with suppress(ProcessLookupError):
                os.killpg(self.leader, signal.SIGKILL)
            if not self.living():
                return
            time.sleep(0.002)
        raise TreeSurvivedError(f"process group {self.leader} outlived SIGKILL by {_GRACE_SECONDS:.0f} s")


class NamespaceTree:
    """The pid namespace that bubblewrap makes; ``leader`` is bubblewrap, a child of ours."""

    def __init__(self, leader: int, info: int) -> None:
        """``info`` is the non-blocking pipe that bubblewrap's ``--info-fd`` report comes through."""
        self.leader = leader
        self._info = info
        self._init: int | None = None
        self._init_pidfd = -1

    def _learn_init(self) -> None:
        if self._init is None:
            with suppress(BlockingIOError, ValueError):  # not there yet, or bubblewrap failed before it wrote any
                self._init = int(json.loads(os.read(self._info, 4096))["child-pid"])
                with suppress(ProcessLookupError):
                    self._init_pidfd = os.pidfd_open(self._init)

    def living(self) -> list[Process]:
        """What descends from the namespace's init; orphans come back to it, so nothing escapes."""
        self._learn_init()
        children: dict[int, list[Process]] = {}
        for process in processes():
            children.setdefault(process.parent, []).append(process)
        found: list[Process] = []
        queue = [self._init] if self._init is not None else []
        while queue:
            offspring = children.get(queue.pop(), [])
            found += [process for process in offspring if not process.zombie]
            queue += [process.pid for process in offspring]
        return found

    def seen_from_here(self, path: Path) -> Path | None:
        """A path inside, reached through init's root; None while there is no init."""
        return Path(f"/proc/{self._init}/root{path}") if self._init is not None else None

    def kill(self) -> None:
        """Kill the namespace and return when it is empty; bubblewrap is left to be waited for.

        Init does not finish dying before everything in its namespace has died, so its end is the proof.

        Raises:
            TreeSurvivedError: after ten seconds.
        """
        self._learn_init()
        if self._init_pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init_pidfd, signal.SIGKILL)
            dead, _, _ = select.select([self._init_pidfd], [], [], _GRACE_SECONDS)
            os.close(self._init_pidfd)
            self._init_pidfd = -1
            if not dead:
                raise TreeSurvivedError(f"pid namespace of {self._init} outlived SIGKILL by {_GRACE_SECONDS:.0f} s")
        with suppress(ProcessLookupError):
            os.kill(self.leader, signal.SIGKILL)


Tree = GroupTree | NamespaceTree
