"""The parent's side of a run: feed, drain, watch, and in the end kill the whole tree.

It cannot hang: every read is non-blocking, every turn of the loop looks at the clock, and a tree needs no
co-operation to die.
"""

from __future__ import annotations

import io
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from auditor.sandbox.channels import CHUNK, Feeder, Sink, Spool, Tail
from auditor.sandbox.launch import READY
from auditor.sandbox.result import Limits, SandboxUnavailable, Status, Tier
from auditor.sandbox.tree import GroupTree, NamespaceTree, Tree
from auditor.sandbox.watch import Broken, Watch

_REPORT_BYTES = 4096
_TOO_MUCH = (Status.RESULT_LIMIT, "more output than allowed")


@dataclass(frozen=True, slots=True)
class Job:
    """What to start and how to watch it.

    Attributes:
        command: makes the command line from the descriptors of the plan, ready, result and info channels.
        plan: what the launcher reads.
        environment: of the launcher and its wrapper.
        tier: says how the tree is found and killed.
        limits: of the run.
        temporary: the program's writable folder, as the program sees it.
        stdin: fed to the program as it reads.
        result: where the result channel is written, up to ``limits.result_bytes``.
        stdout: where standard output is written, up to ``limits.result_bytes``; None keeps only its end.
    """

    command: Callable[[int, int, int, int], Sequence[str]]
    plan: bytes
    environment: Mapping[str, str]
    tier: Tier
    limits: Limits
    temporary: Path
    stdin: BinaryIO | bytes | None
    result: Path
    stdout: Path | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened, before the result is looked at.

    Attributes:
        returncode: exit status, negative for a signal; bubblewrap's 128 + n is translated back.
        stopped: the limit that made the parent kill the tree, if one did, and a line about it.
        launched: what the launcher reported.
        stdout: end of standard output, unless it went to a file.
        stderr: end of standard error.
        result_bytes: how much came over the result channel.
        wall_seconds: start to end.
    """

    returncode: int
    stopped: Broken | None
    launched: bytes
    stdout: str
    stderr: str
    result_bytes: int
    wall_seconds: float


def supervise(job: Job) -> Outcome:
    """Run ``job`` to its end or to its first limit; when this returns or raises, no process of it lives.

    Raises:
        SandboxUnavailable: the command cannot be started.
        TreeSurvivedError: a process hangs in the kernel.
        OSError: an output file cannot be written.
    """
    start = time.monotonic()
    with ExitStack() as stack:
        result = Spool(stack.enter_context(_create(job.result)), job.limits.result_bytes)
        stdout, stderr, launched = Tail(job.limits.stderr_bytes), Tail(job.limits.stderr_bytes), Tail(_REPORT_BYTES)
        whole = Spool(stack.enter_context(_create(job.stdout)), job.limits.result_bytes) if job.stdout else None
        loop = _Loop(stack, start + job.limits.wall_seconds)
        info, info_end = os.pipe()
        stack.callback(os.close, info)
        os.set_blocking(info, False)
        process = _start(job, loop, (whole or stdout, stderr, launched, result), info_end)
        tree: Tree = GroupTree(process.pid)
        if job.tier is Tier.NAMESPACES:
            tree = NamespaceTree(process.pid, info)
        try:
            watch = Watch(tree, job.limits, job.temporary, started=lambda: bytes(launched.data) == READY)
            stopped = loop.turn(process.pid, watch)
        finally:
            tree.kill()
            returncode = process.wait()
        stopped = loop.drain_rest() or stopped
    if job.tier is Tier.NAMESPACES and 128 < returncode <= 128 + signal.SIGRTMAX:
        returncode = 128 - returncode
    return Outcome(
        returncode=returncode,
        stopped=stopped,
        launched=bytes(launched.data),
        stdout=stdout.text(),
        stderr=stderr.text(),
        result_bytes=result.size,
        wall_seconds=time.monotonic() - start,
    )


def _create(path: Path) -> BinaryIO:
    path.touch(mode=0o600)
    return path.open("wb")


def _start(job: Job, loop: _Loop, sinks: Sequence[Sink], info: int) -> subprocess.Popen[bytes]:
    with ExitStack() as stack:
        plan = stack.enter_context(os.fdopen(os.memfd_create("plan"), "wb", buffering=0))
        plan.write(job.plan)
        stdin = loop.feed(io.BytesIO(job.stdin) if isinstance(job.stdin, bytes) else job.stdin)
        stack.callback(os.close, stdin)
        ends = [loop.drain(sink) for sink in sinks]
        for end in ends:
            stack.callback(os.close, end)
        stack.callback(os.close, info)
        stdout, stderr, *channels = (*ends, info)
        try:
            return subprocess.Popen(
                job.command(plan.fileno(), *channels),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=dict(job.environment),
                cwd="/",
                pass_fds=(plan.fileno(), *channels),
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxUnavailable(f"{job.tier}: {error}") from error


class _Loop:
    """Pipes to a child, and the loop that serves them."""

    def __init__(self, stack: ExitStack, deadline: float) -> None:
        self.stack = stack
        self.deadline = deadline
        self.selector = stack.enter_context(selectors.DefaultSelector())

    def drain(self, sink: Sink) -> int:
        """A new pipe whose reading end fills ``sink``; the writing end, for the child."""
        ours, theirs = os.pipe()
        self._watch(ours, selectors.EVENT_READ, sink)
        return theirs

    def feed(self, source: BinaryIO | None) -> int:
        """A new pipe that ``source`` is written to; the reading end, for the child."""
        theirs, ours = os.pipe()
        self._watch(ours, selectors.EVENT_WRITE, Feeder(source or io.BytesIO()))
        return theirs

    def turn(self, pid: int, watch: Watch) -> Broken | None:
        """Serve the pipes until child ``pid`` exits or a limit breaks; which one did."""
        pidfd = os.pidfd_open(pid)
        self.stack.callback(os.close, pidfd)
        self.selector.register(pidfd, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            if now >= self.deadline:
                return Status.WALL_LIMIT, "time is up"
            for key, _ in self.selector.select(min(self.deadline, watch.next_poll) - now):
                if key.data is None:
                    return None
                if not self._serve(key.fd, key.data):
                    return _TOO_MUCH
            if broken := watch.poll():
                return broken

    def drain_rest(self) -> Broken | None:
        """Take what the dead have left: one read holds all that a pipe can, and there is nobody to write more."""
        for key in list(self.selector.get_map().values()):
            if key.data is not None and key.events == selectors.EVENT_READ and not self._serve(key.fd, key.data):
                return _TOO_MUCH
        return None

    def _watch(self, descriptor: int, event: int, data: Sink | Feeder) -> None:
        os.set_blocking(descriptor, False)
        self.stack.callback(self._forget, descriptor)
        self.selector.register(descriptor, event, data)

    def _forget(self, descriptor: int) -> None:
        if descriptor in self.selector.get_map():
            self.selector.unregister(descriptor)
            os.close(descriptor)

    def _serve(self, descriptor: int, data: Sink | Feeder) -> bool:
        """Move one chunk; False when a sink is full."""
        if isinstance(data, Feeder):
            if not data.feed(descriptor):
                self._forget(descriptor)
            return True
        try:
            chunk = os.read(descriptor, CHUNK)
        except BlockingIOError:
            return True
        if not chunk:
            self._forget(descriptor)
            return True
        return data.take(chunk)
