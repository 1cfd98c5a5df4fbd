"""The parent's side of a run: start the scoring processes, keep the clock, end them.

The time budget is the parent's: it counts from the moment at which the scoring processes may first read validation data
to the moment at which the parent holds the scores. Compilation, n-gram statistics, test-time training and the check of
the data all fall into it. Nothing that is timed can touch the clock.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evaluator.job import Done, EventReader, Failed, Job, Progress, Ready, Started, Underway
from evaluator.processes import kill_groups
from evaluator.refusal import Refused, one_line

_POLL_SECONDS = 0.02
START_SECONDS = 300.0
"""How long the processes may take to load the model and find each other; not charged, but not endless either."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Which processes score.

    Attributes:
        nproc: processes on this machine.
        nnodes: machines.
        node_rank: number of this machine; machine 0 holds rank 0, the clock and the score.
        master: ``HOST:PORT`` of machine 0, for more than one.
    """

    nproc: int = 1
    nnodes: int = 1
    node_rank: int = 0
    master: str = ""

    def command(self, job: Path, *, published: bool = False) -> list[str]:
        """The program to start; a single process needs no torchrun, and a published system is always one."""
        if published:
            return [sys.executable, "-m", "evaluator.violations.worker", str(job)]
        if self.nproc == 1 and self.nnodes == 1:
            return [sys.executable, "-m", "evaluator.worker", str(job)]
        options = ["--standalone"]
        if self.nnodes > 1:
            host, _, port = self.master.rpartition(":")
            options = [f"--nnodes={self.nnodes}", f"--node-rank={self.node_rank}"]
            options += [f"--master-addr={host}", f"--master-port={port}"]
        return [sys.executable, "-m", "evaluator.launch", str(job), f"--nproc-per-node={self.nproc}", *options]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: ``"done"``, ``"over-time"`` or ``"died"``.
        seconds: on the parent's clock.
        started_in: seconds before the clock ran (imports, model, rendezvous).
        ready: device and number of processes, if it came so far.
        progress: credited chunks in order, each with the clock.
        done: the final report, if any.
        message: what happened, one line, if not done.
    """

    status: Literal["done", "over-time", "died"]
    seconds: float
    started_in: float
    ready: Ready | None
    progress: tuple[tuple[Progress, float], ...]
    done: Done | None
    message: str = ""


def supervise(
    job: Job,
    fleet: Fleet,
    limit: float,
    *,
    check: Callable[[], Future[None]],
    on_event: Callable[[Ready | Underway | Progress, float], None] = lambda _event, _seconds: None,
    on_tick: Callable[[float], None] = lambda _seconds: None,
) -> Outcome:
    """Run ``job`` to its end or to the limit.

    Args:
        job: saved by this function into its folder.
        fleet: processes.
        limit: seconds on the parent's clock.
        check: started when the clock starts; its future fails with :class:`Refused` if the data are not right.
        on_event: called with each event and the clock.
        on_tick: called every few hundredths of a second with the clock.

    Raises:
        Refused: the data or the settings cannot be scored.
    """
    watch = _Watch(job, _start(job, fleet), limit, on_event, on_tick)
    try:
        return watch.run(check)
    finally:
        watch.end()


def assist(job: Job, fleet: Fleet, on_tick: Callable[[float], None]) -> Outcome:
    """Lend this machine's processes to a run that machine 0 supervises; returns when they have ended.

    Machine 0 keeps the clock and ends the run; what is left here then ends too, because it has lost its peers.
    """
    watch = _Watch(job, _start(job, fleet), 0.0, lambda _event, _seconds: None, on_tick)
    try:
        return watch.wait()
    finally:
        watch.end()


def _start(job: Job, fleet: Fleet) -> subprocess.Popen[bytes]:
    environment = dict(
        os.environ,
        OMP_NUM_THREADS="1",
        OMP_WAIT_POLICY="PASSIVE",
        CUBLAS_WORKSPACE_CONFIG=":4096:8",
        NCCL_NVLS_ENABLE="0",
    )
    with (Path(job.folder) / "workers.log").open("wb") as output:
        return subprocess.Popen(
            fleet.command(job.save(), published=job.published is not None),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment,
        )


class _Watch:
    """State of one supervised run."""

    def __init__(
        self,
        job: Job,
        process: subprocess.Popen[bytes],
        limit: float,
        on_event: Callable[[Ready | Underway | Progress, float], None],
        on_tick: Callable[[float], None],
    ) -> None:
        self.job, self.process, self.limit = job, process, limit
        self.on_event, self.on_tick = on_event, on_tick
        self.reader = EventReader(job.events)
        self.leaders: set[int] = {process.pid}
        self.ready: Ready | None = None
        self.progress: list[tuple[Progress, float]] = []
        self.done: Done | None = None
        self.failed: list[Failed] = []

    def run(self, check: Callable[[], Future[None]]) -> Outcome:
        born = time.monotonic()
        while self.ready is None:
            if self._poll(0.0) or time.monotonic() - born > START_SECONDS:
                return self._died(0.0, time.monotonic() - born)
            time.sleep(_POLL_SECONDS)
        clock = time.monotonic()
        started_in = clock - born
        checked = check()
        self.job.go.touch()
        try:
            while True:
                seconds = time.monotonic() - clock
                ended = self._poll(seconds)
                if seconds > self.limit:
                    return self._outcome("over-time", seconds, started_in, f"stopped at {self.limit:g} s")
                if checked.done():
                    checked.result()
                if self.done and checked.done():
                    return self._outcome("done", seconds, started_in)
                if ended and not self.done:
                    return self._died(seconds, started_in)
                self.on_tick(seconds)
                time.sleep(_POLL_SECONDS)
        finally:
            checked.cancel()

    def wait(self) -> Outcome:
        """Wait for the processes to end of themselves."""
        born = time.monotonic()
        while not self._poll(0.0):
            self.on_tick(time.monotonic() - born)
            time.sleep(_POLL_SECONDS)
        seconds = time.monotonic() - born
        return self._outcome("done", seconds, 0.0) if self.process.returncode == 0 else self._died(seconds, 0.0)

    def end(self) -> None:
        """Kill every process of the run; each rank is its own session, so the launcher's group is not enough."""
        self._poll(0.0)
        kill_groups(self.leaders)
        self.process.wait()

    def _poll(self, seconds: float) -> bool:
        """Take in new events; whether the run has ended."""
        ended = self.process.poll() is not None
        for event in self.reader.read():
            match event:
                case Started():
                    self.leaders.add(event.pid)
                case Ready():
                    self.ready = event
                    self.on_event(event, seconds)
                case Underway():
                    self.on_event(event, seconds)
                case Progress():
                    self.progress.append((event, seconds))
                    self.on_event(event, seconds)
                case Done():
                    self.done = event
                case Failed():
                    self.failed.append(event)
        return ended

    def _died(self, seconds: float, started_in: float) -> Outcome:
        kinds = {failed.kind: failed for failed in reversed(self.failed)}
        if "refused" in kinds:
            raise Refused(kinds["refused"].reason, kinds["refused"].message)
        if self.process.poll() is None:
            message = f"the scoring processes did not start within {START_SECONDS:g} s"
        elif "died" in kinds:
            culprit = kinds["died"]
            why = [failed.message for failed in self.failed if failed.kind == "raised" and failed.rank == culprit.rank]
            message = ": ".join([culprit.message, *why[:1]])
        else:
            why = [kinds["raised"].message] if "raised" in kinds else _last_lines(Path(self.job.folder) / "workers.log")
            message = ": ".join([f"rank 0 died: {_ended(self.process.returncode)}", *why])
        return self._outcome("died", seconds, started_in, one_line(message))

    def _outcome(
        self, status: Literal["done", "over-time", "died"], seconds: float, started_in: float, message: str = ""
    ) -> Outcome:
        return Outcome(status, seconds, started_in, self.ready, tuple(self.progress), self.done, message)


def _ended(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"


def _last_lines(log: Path) -> list[str]:
    """The last line that a process without an event left behind, if any."""
    return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
