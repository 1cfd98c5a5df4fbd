"""Resource limits, uid and capabilities of the process that is about to become the program.

Everything here acts on the calling process and survives ``execve``.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import resource
import signal
import struct
from collections.abc import Sequence

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_VERSION_3 = 0x20080522
_CAP_DAC_READ_SEARCH = 2


def prctl(option: int, *arguments: int) -> None:
    """Change one attribute of this process; the manual page describes each.

    Raises:
        OSError: the kernel refused.
    """
    padded = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *padded) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"prctl({option}): {os.strerror(error)}")


def forbid_new_privileges() -> None:
    """Make set-uid files and file capabilities powerless for this process and all it starts."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends; a change of uid undoes it."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def volunteer_for_oom() -> None:
    """When the machine runs out of memory, let this process and its children be the first to go."""
    with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - pathlib is slow to import here
        file.write("1000")


def limit_resources(*, cpu_seconds: int, memory_bytes: int, processes: int, open_files: int, file_bytes: int) -> None:
    """Set the per-process limits, soft and hard, never above what is in force already.

    Memory is RLIMIT_DATA (private writable memory), not RLIMIT_AS: CUDA builds of torch reserve tens of GB of address
    space that they never touch. Shared memory escapes RLIMIT_DATA; the harness polls resident memory for that.
    """
    limits = {
        resource.RLIMIT_CORE: (0, 0),
        # One second between SIGXCPU, which can be caught, and SIGKILL, which cannot.
        resource.RLIMIT_CPU: (cpu_seconds, cpu_seconds + 1),
        resource.RLIMIT_DATA: (memory_bytes, memory_bytes),
        resource.RLIMIT_NPROC: (processes, processes),
        resource.RLIMIT_NOFILE: (open_files, open_files),
        resource.RLIMIT_FSIZE: (file_bytes, file_bytes),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_MSGQUEUE: (0, 0),
    }
    for limit, pair in limits.items():
        _, ceiling = resource.getrlimit(limit)
        soft, hard = (value if ceiling == resource.RLIM_INFINITY else min(value, ceiling) for value in pair)
        resource.setrlimit(limit, (soft, hard))


def become(uid: int, must_read: Sequence[str]) -> None:
    """Give up root for ``uid``; needs root.

    All capabilities go, except that CAP_DAC_READ_SEARCH stays when ``uid`` could not open one of ``must_read``
    otherwise, such as an interpreter under a root-only home. Landlock, which the caller has put in force or is about
    to, then bounds what can be read, and seccomp refuses open_by_handle_at, which this capability would open.
    """
    _empty_bounding_set(keep=_CAP_DAC_READ_SEARCH)
    prctl(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # The change of uid emptied the effective set, so this sees what the program would see.
    closed = [path for path in must_read if not _can_open(path)]
    if not closed:
        _set_capabilities(0)
        return
    try:
        _set_capabilities(1 << _CAP_DAC_READ_SEARCH)
    except PermissionError as error:
        raise PermissionError(f"uid {uid} cannot read {closed[0]}, and this root lacks CAP_DAC_READ_SEARCH") from error
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_READ_SEARCH)


def drop_capabilities() -> None:
    """Empty the capability sets of a process that is not root (a user namespace may have filled them)."""
    _set_capabilities(0)


def _can_open(path: str) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except PermissionError:
        return False
    except OSError:  # not there, or not a thing to open: no capability would help
        return True
    return True


def _empty_bounding_set(keep: int) -> None:
    for capability in itertools.count():
        if capability != keep:
            try:
                prctl(_PR_CAPBSET_DROP, capability)
            except OSError as error:
                # One past the last that this kernel knows; or a root that may not, for which no_new_privs suffices.
                if error.errno in (errno.EINVAL, errno.EPERM):
                    return
                raise


def _set_capabilities(mask: int) -> None:
    header = struct.pack("=Ii", _CAP_VERSION_3, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    data = struct.pack("=6I", low, low, low, high, high, high)
    if _libc.capset(header, data) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"capset: {os.strerror(error)}")
