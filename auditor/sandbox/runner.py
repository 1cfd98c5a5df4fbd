"""``run`` and ``run_program``: from what a caller wants to a plan for the jail, and from what happened to a result."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

from auditor.sandbox import landlock, launch, namespaces
from auditor.sandbox.blob import BlobError, read_blob
from auditor.sandbox.result import Limits, SandboxResult, SandboxUnavailable, Status, Tier
from auditor.sandbox.supervise import Job, Outcome, supervise
from auditor.sandbox.tiers import choose

_PROJECT = Path(__file__).resolve().parents[2]

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

_PROC = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/sys/vm")
"""What programs need of /proc where it is the host's."""

_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_OUT_OF_MEMORY = 86
"""Exit status of a module that a MemoryError ended."""

_BOOTSTRAP = f"""\
import json, runpy, sys, traceback
sys.path[:0] = json.loads(sys.argv.pop(1))
del sys.argv[0]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except MemoryError:
    traceback.print_exc()
    sys.exit({_OUT_OF_MEMORY})
"""

_uids = itertools.count()


def run(
    module: str,
    arguments: Sequence[str] = (),
    *,
    readable: Sequence[Path] = (),
    stdin: BinaryIO | bytes | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    tier: Tier | None = None,
    allow_unsandboxed: bool = False,
    python: Path | None = None,
    import_path: Sequence[Path] = (),
    result_file: Path | None = None,
) -> SandboxResult:
    """Run a Python module as ``__main__``, isolated; it reports through ``auditor.sandbox.child.send``.

    It can read a minimal system, the interpreter with its site-packages, this project's packages, ``readable`` and
    ``import_path``, and can write a private temporary folder (its HOME, TMPDIR and working directory) that vanishes.
    Its environment holds nothing of ours; there is no network.

    Args:
        module: dotted name.
        arguments: ``sys.argv[1:]``.
        readable: files and folders it may read, at their own paths.
        stdin: its standard input; empty if None. A file is read as the module reads, so it may be large.
        limits: resources.
        tier: isolation to use; None takes the strongest that works here.
        allow_unsandboxed: accept ``Tier.NONE`` if nothing else works (never in CI).
        python: interpreter, ours if None; another one brings its own site-packages.
        import_path: folders to put in front of ``sys.path``.
        result_file: where to leave the result blob, a valid safetensors file if the status is OK; it may be as large
            as ``limits.result_bytes``. If None, a private file holds it while its arrays are in use.

    Raises:
        SandboxUnavailable: no acceptable tier works here, or the one asked for could not be set up.
    """
    interpreter = Path(sys.executable) if python is None else python
    with _workspace() as workspace:
        packages = workspace / "import"
        links = _link_packages(packages)
        result_path = result_file or workspace / "result"
        paths = [*map(str, import_path), str(packages)]
        argv = [str(interpreter), "-s", "-P", "-c", _BOOTSTRAP, json.dumps(paths), module, *arguments]
        read = [*_interpreter_folders(interpreter), packages, *links, *import_path, *readable]
        with result_path.open("wb") as result:
            chosen, outcome = _execute(
                workspace, argv, read, stdin, result, None, limits, tier, allow_unsandboxed=allow_unsandboxed
            )
        return _judge(chosen, outcome, result_path)


def run_program(
    argv: Sequence[str],
    *,
    readable: Sequence[Path] = (),
    stdin: BinaryIO | bytes | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    tier: Tier | None = None,
    allow_unsandboxed: bool = False,
    stdout_file: Path | None = None,
) -> SandboxResult:
    """Run any program, isolated as ``run`` does it; ``argv[0]`` is an absolute path inside the jail.

    Args:
        argv: program and arguments.
        readable: files and folders it may read, at their own paths.
        stdin: its standard input; empty if None.
        limits: resources.
        tier: isolation to use; None takes the strongest that works here.
        allow_unsandboxed: accept ``Tier.NONE`` if nothing else works (never in CI).
        stdout_file: where to write all of standard output, up to ``limits.result_bytes``; None keeps only its end.

    Raises:
        SandboxUnavailable: no acceptable tier works here, or the one asked for could not be set up.
    """
    with _workspace() as workspace, (workspace / "result").open("wb") as result:
        with (stdout_file or workspace / "stdout").open("wb") as file:
            stdout = file if stdout_file else None
            chosen, outcome = _execute(
                workspace, argv, readable, stdin, result, stdout, limits, tier, allow_unsandboxed=allow_unsandboxed
            )
        result.flush()
        return _judge(chosen, outcome, workspace / "result")


def _execute(
    workspace: Path,
    argv: Sequence[str],
    read: Sequence[Path],
    stdin: BinaryIO | bytes | None,
    result: BinaryIO,
    stdout: BinaryIO | None,
    limits: Limits,
    tier: Tier | None,
    *,
    allow_unsandboxed: bool,
) -> tuple[Tier, Outcome]:
    tier = choose(tier, allow_unsandboxed=allow_unsandboxed)
    namespaced = tier is Tier.NAMESPACES
    home = workspace / "home"
    temporary = "/tmp" if namespaced else str(home)  # noqa: S108 - the jail's own
    uid = 61184 + (os.getpid() + next(_uids)) % 4000 if os.geteuid() == 0 else None
    if uid is not None:
        os.chown(home, uid, uid)
    environment = {
        "HOME": temporary,
        "TMPDIR": temporary,
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "USER": "sandbox",
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    own = [*_interpreter_folders(Path(sys.executable)), Path(__file__).parent, _PROJECT / "auditor" / "__init__.py"]
    visible = [*_SYSTEM, *(str(path.absolute()) for path in read)]
    isolated = tier is not Tier.NONE
    own_signals_only = not namespaced and uid is None and landlock.abi_version() < landlock.SIGNALS_ABI
    plan: dict[str, Any] = {
        "argv": list(argv),
        "environment": environment,
        "directory": temporary,
        "uid": uid,
        "must_read": visible,
        "resources": {
            "cpu_seconds": math.ceil(limits.cpu_seconds),
            "memory_bytes": limits.memory_bytes,
            "processes": limits.processes,
            "open_files": limits.open_files,
            "file_bytes": limits.file_bytes,
        },
        "landlock": {
            "read": [*visible, *(["/proc"] if namespaced else _PROC)],
            "write": [temporary, *(["/dev/shm"] if namespaced else [])],  # noqa: S108 - the jail's own
            "devices": _DEVICES,
        }
        if isolated and (not namespaced or landlock.abi_version())
        else None,
        "seccomp": {"stay_in_group": not namespaced, "own_signals_only": own_signals_only} if isolated else None,
    }

    def command(*descriptors: int) -> Sequence[str]:
        plan_fd, ready_fd, result_fd, info_fd = descriptors
        launcher = [sys.executable, "-I", "-S", launch.__file__, *map(str, (plan_fd, ready_fd, result_fd))]
        if not namespaced:
            return launcher
        return namespaces.wrap(
            launcher,
            read=[*visible, *map(str, own)],
            temporary=temporary,
            temporary_bytes=limits.file_bytes,
            info_fd=info_fd,
        )

    outcome = supervise(
        Job(
            command=command,
            plan=json.dumps(plan).encode(),
            environment=environment,
            tier=tier,
            limits=limits,
            temporary=Path(temporary),
            stdin=stdin,
            result=result,
            stdout=stdout,
        )
    )
    if outcome.launched != launch.READY and outcome.stopped is None:
        reason = outcome.launched.decode("utf-8", "replace").strip() or outcome.stderr.strip()
        raise SandboxUnavailable(f"{tier}: {reason}")
    return tier, outcome


def _judge(tier: Tier, outcome: Outcome, result: Path) -> SandboxResult:
    status, detail = _status(outcome)
    value: Any = None
    arrays: Mapping[str, Any] = {}
    if status is Status.OK and outcome.result_bytes:
        try:
            value, arrays = read_blob(result)
        except BlobError as error:
            status, detail = Status.BAD_RESULT, str(error)
    return SandboxResult(
        status=status,
        returncode=outcome.returncode,
        tier=tier,
        json=value,
        arrays=arrays,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        wall_seconds=outcome.wall_seconds,
        detail=detail,
    )


def _status(outcome: Outcome) -> tuple[Status, str]:
    if outcome.stopped is not None:
        return outcome.stopped, outcome.detail
    code = outcome.returncode
    if code == 0:
        return Status.OK, ""
    if code == _OUT_OF_MEMORY:
        return Status.MEMORY_LIMIT, "the module ended with MemoryError"
    if code == -24:
        return Status.CPU_LIMIT, "SIGXCPU"
    if code < 0:
        return Status.SIGNALLED, f"signal {-code}"
    return Status.FAILED, f"exit status {code}"


@contextmanager
def _workspace() -> Iterator[Path]:
    """A folder of ours for one run; others may pass through it to the folders inside that are meant for them."""
    workspace = Path(tempfile.mkdtemp(prefix="sandbox-"))
    try:
        workspace.chmod(0o711)
        (workspace / "home").mkdir(mode=0o700)
        yield workspace
    finally:
        # The home's owner was hostile: rm copes with any depth and follows no links, shutil.rmtree recurses.
        subprocess.run(["chmod", "-R", "u+rwx", workspace], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["rm", "-rf", "--one-file-system", workspace], check=False, stderr=subprocess.DEVNULL)


def _link_packages(folder: Path) -> list[Path]:
    """Fill ``folder`` with links to this project's packages, so that importing them shows nothing beside them."""
    folder.mkdir(mode=0o755)
    beside = [_PROJECT / "auditor"]
    if not _PROJECT.is_relative_to(sys.prefix):  # a checkout; when installed, site-packages has the others
        beside = [init.parent for init in _PROJECT.glob("*/__init__.py")]
    for package in beside:
        (folder / package.name).symlink_to(package)
    return beside


@cache
def _interpreter_folders(python: Path) -> tuple[Path, ...]:
    if python == Path(sys.executable):
        prefixes = [sys.prefix, sys.base_prefix]
    else:
        query = "import sys; print(sys.prefix, sys.base_prefix, sep='\\n')"
        prefixes = subprocess.run(
            [python, "-I", "-c", query], check=True, capture_output=True, text=True
        ).stdout.splitlines()
    return tuple(dict.fromkeys(Path(prefix) for prefix in prefixes))
