"""The command line that puts a program into namespaces with bubblewrap (bwrap(1))."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

PROGRAM = "bwrap"


def wrap(
    argv: Sequence[str],
    *,
    read: Sequence[str],
    temporary: str,
    temporary_bytes: int,
    info_fd: int,
) -> list[str]:
    """``argv`` inside its own pid, network, ipc, uts and mount namespaces, and nothing of the system but ``read``.

    Args:
        argv: the program, seen from inside.
        read: absolute paths, bound read-only at the same place; those that do not exist are skipped.
        temporary: where a private tmpfs appears, which vanishes with the run.
        temporary_bytes: size of that tmpfs, and of /dev/shm.
        info_fd: bwrap reports the pid of the namespace's init here.

    As root no user namespace is made: its only uid would be the real root again, for which the kernel waives
    RLIMIT_NPROC, so the launcher gives up root inside instead. It needs four capabilities to do so.
    """
    root = os.geteuid() == 0
    command = [PROGRAM, "--die-with-parent", "--new-session", "--info-fd", str(info_fd)]
    command += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--hostname", "sandbox", "--cap-drop", "ALL"]
    if root:
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_DAC_READ_SEARCH"):
            command += ["--cap-add", capability]
    else:
        command += ["--unshare-user"]
    command += ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/dev/shm", temporary):  # noqa: S108 - made inside
        mode = "1777" if root else "0700"
        command += ["--perms", mode, "--size", str(temporary_bytes), "--tmpfs", place]
    command += _binds(read)
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", temporary, "--", *argv]


def _binds(paths: Sequence[str]) -> list[str]:
    """Read-only binds, outermost first: a bind hides what was bound beneath it before."""
    options: list[str] = []
    made, bound = {Path("/")}, set[Path]()
    for path in sorted(map(Path, set(paths))):
        for folder in reversed(path.parents):
            # bubblewrap would make missing parents too, but for root alone to enter.
            if folder not in made and bound.isdisjoint((folder, *folder.parents)):
                options += ["--perms", "0755", "--dir", str(folder)]
                made.add(folder)
        options += ["--ro-bind-try", str(path), str(path)]
        bound.add(path)
    return options
