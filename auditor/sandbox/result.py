"""What goes into a sandboxed run and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class SandboxUnavailable(RuntimeError):  # noqa: N818 - callers read it as a state
    """No tier of isolation that the caller accepts works on this machine."""


class Tier(StrEnum):
    """How strongly a run is isolated; found by trying, never by looking for a binary."""

    NAMESPACES = "namespaces"
    """bubblewrap: own pid, net, ipc and mount namespaces, read-only system, private temp; and all that follows."""
    LANDLOCK = "landlock+seccomp"
    """No namespaces: non-root uid, Landlock allow-list of paths, seccomp without sockets and ptrace."""
    NONE = "none"
    """Limits only. Refused unless the caller says otherwise, and never in CI."""


class Status(StrEnum):
    """How a sandboxed run ended."""

    OK = "ok"
    FAILED = "failed"
    SIGNALLED = "signalled"
    WALL_LIMIT = "wall-limit"
    CPU_LIMIT = "cpu-limit"
    MEMORY_LIMIT = "memory-limit"
    PROCESS_LIMIT = "process-limit"
    DISK_LIMIT = "disk-limit"
    RESULT_LIMIT = "result-limit"
    BAD_RESULT = "bad-result"


@dataclass(frozen=True, slots=True)
class Limits:
    """Resources of one run; the whole process tree shares them where the tier can account for a tree.

    Attributes:
        wall_seconds: from start to end, set-up included.
        cpu_seconds: user plus system, of each process (by the kernel) and of the living tree (by polling).
        memory_bytes: private memory of each process (by the kernel) and resident memory of the tree (by polling).
        processes: processes and threads of the tree.
        open_files: file descriptors of each process.
        file_bytes: size of each file, and of all files in the private temporary directory together.
        result_bytes: the result blob; also the whole of standard output when it goes to a file.
        stderr_bytes: how much of the end of standard output and of standard error is kept, each.
    """

    wall_seconds: float = 60.0
    cpu_seconds: float = 60.0
    memory_bytes: int = 4 << 30
    processes: int = 64
    open_files: int = 128
    file_bytes: int = 64 << 20
    result_bytes: int = 1 << 30
    stderr_bytes: int = 64 << 10


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """The outcome of one run.

    Attributes:
        status: how it ended.
        returncode: exit status, negative for a signal.
        tier: the isolation that was in force.
        json: what the program sent as JSON, if anything.
        arrays: what it sent as arrays: read-only maps of a private file, paged in when touched.
        stdout: the last bytes it wrote to standard output, decoded with replacement (untrusted text).
        stderr: the last bytes it wrote to standard error, decoded with replacement (untrusted text).
        wall_seconds: how long it ran.
        detail: why the status is not ``OK``, one line, in our words.
    """

    status: Status
    returncode: int
    tier: Tier
    json: Any = None
    arrays: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""
    wall_seconds: float = 0.0
    detail: str = ""
