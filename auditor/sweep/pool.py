"""Worker processes that audit many submissions each, and are replaced when they are slow, fat or dead."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgspec

from auditor.sweep.messages import Answer, Order, Task, to_line

_READ = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """When a worker is replaced.

    Attributes:
        seconds: wall seconds for one submission.
        memory: bytes that a worker may allocate; an audit that needs more fails.
        recycle_memory: bytes after which a worker is replaced between two submissions.
        recycle_count: submissions after which it is.
    """

    seconds: float = 600.0
    memory: int = 1800 << 20
    recycle_memory: int = 800 << 20
    recycle_count: int = 200


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    task: Task | None = None
    started: float = 0.0
    done: int = 0
    memory: int = 0
    said: bytearray = field(default_factory=bytearray)


class Pool:
    """Runs tasks on ``size`` workers; use as a context, so that no process outlives it.

    Args:
        order: what every worker is told first.
        size: processes.
        limits: when they are replaced.
    """

    def __init__(self, order: Order, size: int, limits: Limits) -> None:
        self._order = order
        self._size = size
        self._limits = limits
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for worker in list(self._workers):
            self._end(worker)
        self._selector.close()

    def run(self, tasks: Iterable[Task]) -> Iterator[Answer]:
        """Answers as they come, one for each task."""
        waiting = iter(tasks)
        exhausted = False
        while True:
            while not exhausted and sum(worker.task is not None for worker in self._workers) < self._size:
                task = next(waiting, None)
                exhausted = task is None
                if task is not None:
                    self._give(task)
            if not any(worker.task for worker in self._workers):
                return
            yield from self._collect()

    def _give(self, task: Task) -> None:
        worker = next((worker for worker in self._workers if worker.task is None), None) or self._start()
        worker.task, worker.started = task, time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # it died; reading says so
            _write(worker.process, to_line(task))

    def _collect(self) -> Iterator[Answer]:
        """Wait until something was said or somebody is late."""
        busy = [worker for worker in self._workers if worker.task is not None]
        patience = min(worker.started + self._limits.seconds for worker in busy) - time.monotonic()
        for key, _ in self._selector.select(max(0.0, patience)):
            answer = self._listen(key.data)
            if answer is not None:
                yield answer
        now = time.monotonic()
        for worker in busy:
            if worker.task is not None and now - worker.started >= self._limits.seconds:
                reason = f"killed after {self._limits.seconds:g} s"
                yield Answer(worker.task.key, "timeout", reason, seconds=round(now - worker.started, 3))
                self._end(worker)

    def _listen(self, worker: _Worker) -> Answer | None:
        output = worker.process.stdout
        data = os.read(output.fileno(), _READ) if output is not None else b""
        worker.said += data
        if not data:
            task = worker.task
            seconds = round(time.monotonic() - worker.started, 3)
            self._end(worker)
            reason = f"the process ended with {worker.process.returncode}"
            return None if task is None else Answer(task.key, "failed", reason, seconds=seconds)
        if not data.endswith(b"\n"):
            return None
        answer = msgspec.json.decode(bytes(worker.said), type=Answer)
        worker.said.clear()
        worker.task = None
        worker.done += 1
        worker.memory = answer.memory
        if worker.done >= self._limits.recycle_count or worker.memory > self._limits.recycle_memory:
            self._end(worker)
        return answer

    def _start(self) -> _Worker:
        process = subprocess.Popen(
            [sys.executable, "-m", "auditor.sweep.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # what it starts is killed with it
        )
        worker = _Worker(process)
        self._workers.append(worker)
        if process.stdout is not None:
            self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        with contextlib.suppress(BrokenPipeError):
            _write(process, to_line(self._order))
        return worker

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.task = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.process.pid, signal.SIGKILL)
        if worker.process.stdout is not None:
            self._selector.unregister(worker.process.stdout)
            worker.process.stdout.close()
        if worker.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                worker.process.stdin.close()
        worker.process.wait()


def _write(process: subprocess.Popen[bytes], line: bytes) -> None:
    if process.stdin is not None:
        process.stdin.write(line)
        process.stdin.flush()
