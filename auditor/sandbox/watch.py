"""Limits of the whole tree, held by polling: what the kernel accounts only per process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from auditor.sandbox.result import Limits, Status
from auditor.sandbox.tree import NamespaceTree, Process, Tree

_INTERVAL = 0.05
_SHARE = 20
"""Polling may take one part in this many of the parent's time."""

_ENTRY_BYTES = 4096
"""What the smallest file counts for, so that empty ones cannot be made without end."""

_LONGEST_PATH = 1024
_SHARED = Path("/dev/shm")  # noqa: S108 - the jail's own

Broken = tuple[Status, str]
"""A limit, and one line about how it broke."""


class Watch:
    """Polls a tree when it is time to, and says which limit it broke."""

    def __init__(self, tree: Tree, limits: Limits, temporary: Path, started: Callable[[], bool]) -> None:
        """``temporary`` is the program's writable folder as the program sees it, once it has ``started``.

        Before that, the same path may still name the host's folder.
        """
        self.tree = tree
        self.limits = limits
        self.temporary = temporary
        self.started = started
        self.next_poll = time.monotonic() + _INTERVAL

    def poll(self) -> Broken | None:
        """The limit that is broken; None between polls and when all is well."""
        start = time.monotonic()
        if start < self.next_poll:
            return None
        living = self.tree.living()
        broken = self._processes(living) or self._disk(living)
        end = time.monotonic()
        self.next_poll = end + max(_INTERVAL, _SHARE * (end - start))
        return broken

    def _processes(self, living: Sequence[Process]) -> Broken | None:
        used = sum(process.cpu_seconds for process in living)
        if used > self.limits.cpu_seconds:
            return Status.CPU_LIMIT, f"the tree used {used:.1f} s of CPU"
        threads = sum(process.threads for process in living)
        if threads > self.limits.processes:
            return Status.PROCESS_LIMIT, f"{threads} processes and threads"
        if sum(process.resident_bytes for process in living) > self.limits.memory_bytes:
            # Forked processes share pages: count each page once before accusing.
            resident = sum(map(_proportional_bytes, living))
            if resident > self.limits.memory_bytes:
                return Status.MEMORY_LIMIT, f"{resident} bytes resident"
        return None

    def _disk(self, living: Sequence[Process]) -> Broken | None:
        if not self.started():
            return None
        if isinstance(self.tree, NamespaceTree):
            used = sum(_tmpfs_bytes(self.tree.seen_from_here(path)) for path in (self.temporary, _SHARED))
        else:
            used = _folder_bytes(self.temporary, self.limits.file_bytes)
            used += sum(_deleted_bytes(process.pid) for process in living)
        if used > self.limits.file_bytes:
            return Status.DISK_LIMIT, f"{used} bytes of files"
        return None


def _proportional_bytes(process: Process) -> int:
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    return process.resident_bytes


def _tmpfs_bytes(folder: Path | None) -> int:
    """What the files of a tmpfs count for; its size is bounded when it is mounted, their number is not."""
    if folder is not None:
        with suppress(OSError):
            status = os.statvfs(folder)
            return max(status.f_files - status.f_ffree, 0) * _ENTRY_BYTES
    return 0


def _folder_bytes(folder: Path, enough: int) -> int:
    """Bytes allocated beneath ``folder``; counting stops past ``enough``.

    What cannot be looked at, or lies very deep, counts as too much: only a program that hides files makes such, and
    folders nested by the thousand take minutes to delete.
    """
    used = 0
    queue = [str(folder)]
    while queue and used <= enough:
        try:
            with os.scandir(queue.pop()) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        used += max(entry.stat(follow_symlinks=False).st_blocks * 512, _ENTRY_BYTES)
                    if entry.is_dir(follow_symlinks=False):
                        queue.append(entry.path)
                    if used > enough or len(entry.path) > _LONGEST_PATH:
                        return enough + 1
        except FileNotFoundError:
            continue
        except OSError:
            return enough + 1
    return used


def _deleted_bytes(pid: int) -> int:
    """Bytes of files that process ``pid`` holds open though they have no name any more."""
    used = 0
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                status = descriptor.stat()
                if status.st_nlink == 0:
                    used += status.st_blocks * 512
    return used
