"""What one run may see and use, as the launcher's plan and as a command line."""

from __future__ import annotations

import math
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.sandbox import landlock, launch, namespaces
from auditor.sandbox.interpreter import PROJECT, prefixes
from auditor.sandbox.result import Limits, Tier
from auditor.sandbox.tree import processes

_SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/sys/devices/system/cpu",
)
"""What programs need of the system: no configuration, no accounts, no logs, no homes."""

_HOST_PROC = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/sys/vm")
"""What programs need of /proc where it is the host's."""

_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_UIDS = range(61184, 65520)
"""Where the uids of runs started by root come from: systemd's range for dynamic users, which no account has."""


def _private_uid() -> int:
    """A uid that nobody runs under: one shared with another run would share its limits and let them signal each other.

    Drawn at random, because other referees on this machine draw as well.
    """
    taken = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError):
            taken.add(process.stat().st_uid)
    return secrets.choice([uid for uid in _UIDS if uid not in taken])


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder of ours for one run; others may pass through it to the folders inside that are meant for them."""
    folder = Path(tempfile.mkdtemp(prefix="sandbox-"))
    try:
        folder.chmod(0o711)
        (folder / "home").mkdir(mode=0o700)
        (folder / "import").mkdir(mode=0o755)
        yield folder
    finally:
        # The home's owner was hostile. rm copes with any depth and follows no links, where shutil.rmtree recurses;
        # a folder without permissions stops rm unless it is root's.
        if os.geteuid() != 0:
            subprocess.run(["chmod", "-R", "u+rwx", folder], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", "--one-file-system", folder], check=False, stderr=subprocess.DEVNULL)


@dataclass(frozen=True, slots=True)
class Jail:
    """One run's confinement.

    Attributes:
        tier: how.
        argv: the program, as it is found inside.
        read: what it may read besides the system.
        limits: of the run.
        workspace: from ``workspace()``; its ``home`` becomes the program's if the tier has no tmpfs.
        uid: a uid of its own when root starts it; None keeps ours, which is not root's.
    """

    tier: Tier
    argv: Sequence[str]
    read: Sequence[Path]
    limits: Limits
    workspace: Path
    uid: int | None = field(init=False)

    def __post_init__(self) -> None:
        uid = _private_uid() if os.geteuid() == 0 else None
        object.__setattr__(self, "uid", uid)
        if uid is not None:
            os.chown(self.workspace / "home", uid, uid)

    @property
    def temporary(self) -> Path:
        """The program's writable folder, as it sees it."""
        return Path("/tmp") if self._namespaced else self.workspace / "home"  # noqa: S108 - the jail's own

    @property
    def environment(self) -> dict[str, str]:
        """The program's whole environment."""
        return {
            "HOME": str(self.temporary),
            "TMPDIR": str(self.temporary),
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "USER": "sandbox",
            "OMP_NUM_THREADS": "1",
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def plan(self) -> dict[str, Any]:
        """What ``launch`` has to do, as JSON."""
        visible = self._visible()
        isolated = self.tier is not Tier.NONE
        shares_uid = self.uid is None and not self._namespaced
        return {
            "argv": list(self.argv),
            "environment": self.environment,
            "directory": str(self.temporary),
            "uid": self.uid,
            "must_read": [*visible, str(self.temporary)],
            "resources": {
                "cpu_seconds": math.ceil(self.limits.cpu_seconds),
                "memory_bytes": self.limits.memory_bytes,
                "processes": self._most_processes(),
                "open_files": self.limits.open_files,
                "file_bytes": self.limits.file_bytes,
            },
            "landlock": {
                "read": [*visible, *(["/proc"] if self._namespaced else _HOST_PROC)],
                "write": [str(self.temporary), *(["/dev/shm"] if self._namespaced else [])],  # noqa: S108 - its own
                "devices": _DEVICES,
            }
            if isolated and (landlock.abi_version() or not self._namespaced)
            else None,
            "seccomp": {
                "stay_in_group": not self._namespaced,
                "keep_metadata": shares_uid,
                "own_signals_only": shares_uid and landlock.abi_version() < landlock.SIGNALS_ABI,
            }
            if isolated
            else None,
        }

    def command(self, plan_fd: int, ready_fd: int, result_fd: int, info_fd: int) -> list[str]:
        """The launcher's command line, wrapped in namespaces if the tier has them."""
        launcher = [sys.executable, "-I", "-S", launch.__file__, str(plan_fd), str(ready_fd), str(result_fd)]
        if not self._namespaced:
            return launcher
        needed = [*prefixes(Path(sys.executable)), Path(__file__).parent, PROJECT / "auditor" / "__init__.py"]
        return namespaces.wrap(
            launcher,
            read=[*self._visible(), *map(str, needed)],
            temporary=str(self.temporary),
            temporary_bytes=self.limits.file_bytes,
            info_fd=info_fd,
        )

    @property
    def _namespaced(self) -> bool:
        return self.tier is Tier.NAMESPACES

    def _visible(self) -> list[str]:
        return [*_SYSTEM, *(str(path.absolute()) for path in self.read)]

    def _most_processes(self) -> int:
        """RLIMIT_NPROC, which counts all processes of a uid: exact when the run has a uid or a namespace for itself.

        Otherwise it only keeps a fork bomb from outgrowing the next poll, which counts exactly.
        """
        if self.uid is not None or self._namespaced:
            return self.limits.processes
        return sum(process.threads for process in processes()) + 4 * self.limits.processes
