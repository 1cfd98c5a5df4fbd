"""``run`` and ``run_program``: put a program into a jail, watch it, and judge how it ended."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from auditor.sandbox import launch
from auditor.sandbox.blob import BlobError, read_blob
from auditor.sandbox.interpreter import OUT_OF_MEMORY, link_packages, module_command, prefixes
from auditor.sandbox.jail import Jail, workspace
from auditor.sandbox.result import Limits, SandboxResult, SandboxUnavailable, Status, Tier
from auditor.sandbox.supervise import Job, Outcome, supervise
from auditor.sandbox.tiers import choose


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
    Its environment holds nothing of ours; there is no network. Safe to call from several threads.

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
        result_file: where to leave the result blob, of up to ``limits.result_bytes``: if the status is OK, a valid
            safetensors file, or empty when the module sent nothing. If None, a private file lasts as long as the
            result's arrays.

    Raises:
        SandboxUnavailable: no acceptable tier works here, or the one asked for could not be set up.
    """
    interpreter = python or Path(sys.executable)
    with workspace() as folder:
        links = folder / "import"
        packages = link_packages(links)
        jail = Jail(
            tier=choose(tier, allow_unsandboxed=allow_unsandboxed),
            argv=module_command(interpreter, module, arguments, [*import_path, links]),
            read=[*prefixes(interpreter), links, *packages, *import_path, *readable],
            limits=limits,
            workspace=folder,
        )
        result = result_file or folder / "result"
        return _judge(jail, _execute(jail, stdin, result, None), result)


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
    """Run any program, isolated as ``run`` does it.

    Args:
        argv: program, by its absolute path, and arguments.
        readable: files and folders it may read, at their own paths.
        stdin: its standard input; empty if None.
        limits: resources.
        tier: isolation to use; None takes the strongest that works here.
        allow_unsandboxed: accept ``Tier.NONE`` if nothing else works (never in CI).
        stdout_file: where to write all of standard output, up to ``limits.result_bytes``; None keeps only its end.

    Raises:
        SandboxUnavailable: no acceptable tier works here, or the one asked for could not be set up.
    """
    with workspace() as folder:
        jail = Jail(
            tier=choose(tier, allow_unsandboxed=allow_unsandboxed),
            argv=argv,
            read=readable,
            limits=limits,
            workspace=folder,
        )
        result = folder / "result"
        return _judge(jail, _execute(jail, stdin, result, stdout_file), result)


def _execute(jail: Jail, stdin: BinaryIO | bytes | None, result: Path, stdout: Path | None) -> Outcome:
    outcome = supervise(
        Job(
            command=jail.command,
            plan=json.dumps(jail.plan()).encode(),
            environment=jail.environment,
            tier=jail.tier,
            limits=jail.limits,
            temporary=jail.temporary,
            stdin=stdin,
            result=result,
            stdout=stdout,
        )
    )
    if outcome.launched != launch.READY and outcome.stopped is None:
        reason = outcome.launched.decode("utf-8", "replace").strip() or outcome.stderr.strip()
        raise SandboxUnavailable(f"{jail.tier}: {reason}")
    return outcome


def _judge(jail: Jail, outcome: Outcome, result: Path) -> SandboxResult:
    status, detail = _status(outcome)
    judged = SandboxResult(
        status=status,
        returncode=outcome.returncode,
        tier=jail.tier,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        wall_seconds=outcome.wall_seconds,
        detail=detail,
    )
    if status is not Status.OK or not outcome.result_bytes:
        return judged
    try:
        value, arrays = read_blob(result)
    except BlobError as error:
        return replace(judged, status=Status.BAD_RESULT, detail=str(error))
    return replace(judged, json=value, arrays=arrays)


def _status(outcome: Outcome) -> tuple[Status, str]:
    code = outcome.returncode
    if outcome.stopped is not None:
        return outcome.stopped
    if code == 0:
        return Status.OK, ""
    if code == OUT_OF_MEMORY:
        return Status.MEMORY_LIMIT, "the module ended with MemoryError"
    if code == -signal.SIGXCPU:
        return Status.CPU_LIMIT, "the kernel counted the CPU seconds of one process"
    if code < 0:
        return Status.SIGNALLED, f"signal {-code}"
    return Status.FAILED, f"exit status {code}"
