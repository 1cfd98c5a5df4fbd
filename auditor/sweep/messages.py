"""What the pool and its workers say to each other: one JSON object per line."""

from __future__ import annotations

import datetime
import json
from typing import Literal

import msgspec

from auditor.report.document import Audit


class Order(msgspec.Struct, frozen=True):
    """How a worker audits; the first line that it reads.

    Attributes:
        repository: the git directory.
        as_of: judge by the rulings of that day.
        probe: CPU seconds of experiments on a submission's code; None runs none.
        memory: bytes that the worker itself may allocate.
    """

    repository: str
    as_of: datetime.date | None
    probe: float | None
    memory: int


class Task(msgspec.Struct, frozen=True):
    """A submission to audit: see :class:`auditor.sweep.plan.Submitted`.

    Attributes:
        key: names the answer.
        digest: of the folder.
        folder: path in the repository.
        blobs: path, mode and object id of each file.
        changes: kind and path of each change of the pull request.
        record: the score to beat, bits per byte.
    """

    key: str
    digest: str
    folder: str
    blobs: tuple[tuple[str, str, str], ...]
    changes: tuple[tuple[str, str], ...]
    record: float | None


class Answer(msgspec.Struct, frozen=True):
    """What came of a task.

    Attributes:
        key: the task's.
        outcome: ``audited``; ``failed`` when the worker raised or died, ``timeout`` when it was killed.
        reason: why not, one line.
        audit: the report, when audited.
        code, shape, launch: see :class:`auditor.sweep.likeness.Likeness`.
        absent: files that the repository's copy lacks.
        seconds: wall seconds.
        memory: most bytes that the worker has held so far.
    """

    key: str
    outcome: Literal["audited", "failed", "timeout"]
    reason: str = ""
    audit: Audit | None = None
    code: str = ""
    shape: str = ""
    launch: str = ""
    absent: tuple[str, ...] = ()
    seconds: float = 0.0
    memory: int = 0


def to_line(message: Order | Task) -> bytes:
    """A message as one line; :mod:`json` keeps the lone surrogates that odd file names bring, msgspec refuses them."""
    return json.dumps(msgspec.to_builtins(message)).encode() + b"\n"


def order_from(line: bytes) -> Order:
    """The order in a line."""
    return msgspec.convert(json.loads(line), Order)


def task_from(line: bytes) -> Task:
    """The task in a line."""
    return msgspec.convert(json.loads(line), Task)
