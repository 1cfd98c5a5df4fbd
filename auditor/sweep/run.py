"""The sweep: plan, skip what is known, audit the rest, enter each answer as it comes."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from auditor.cache import cache_key, rule_book_version
from auditor.sweep.messages import Answer, Order, Task
from auditor.sweep.plan import Submitted, submissions_of
from auditor.sweep.pool import Limits, Pool
from auditor.sweep.repository import Ref, Repository, RepositoryError
from auditor.sweep.store import Store


@dataclass(frozen=True)
class Choice:
    """How a sweep audits.

    Attributes:
        as_of: judge by the rulings of that day.
        probe: CPU seconds of experiments on a submission's code; None runs none.
        workers: processes.
        limits: of a worker.
        retry: audit again what failed or timed out in an earlier sweep.
    """

    as_of: datetime.date | None = None
    probe: float | None = None
    workers: int = 1
    limits: Limits = field(default_factory=Limits)
    retry: bool = False


@dataclass(frozen=True)
class Plan:
    """What a sweep has to do.

    Attributes:
        tasks: audits to run, the earliest pull request's first.
        submissions: how many submissions the refs bring.
        known: how many of them have their answer.
        unreadable: refs that git could not read, with the reason.
    """

    tasks: tuple[Task, ...]
    submissions: int
    known: int
    unreadable: tuple[tuple[str, str], ...]


def plan(repository: Repository, refs: Iterable[Ref], main: str, store: Store, choice: Choice) -> Plan:
    """Enter who submitted what, and list the audits that have no answer yet."""
    version = rule_book_version()
    tasks: dict[str, Task] = {}
    unreadable = []
    submissions = known = 0
    for ref in refs:
        try:
            brought = list(submissions_of(repository, ref, main))
        except RepositoryError as error:
            unreadable.append((ref.name, str(error)))
            continue
        store.forget_submissions(ref.name)
        for submitted in brought:
            key = cache_key(submitted.digest, version, choice.as_of, choice.probe)
            submissions += 1
            store.put_submission(submitted, key)
            if store.holds(key, failures=not choice.retry):
                known += 1
            elif key not in tasks:
                tasks[key] = _task(submitted, key)
    return Plan(tuple(tasks.values()), submissions, known, tuple(unreadable))


def sweep(repository: Path, tasks: Sequence[Task], store: Store, choice: Choice, seen: Callable[[Answer], None]) -> int:
    """Run the audits; the number of answers. An interrupt leaves every answer so far in the store."""
    digests = {task.key: task.digest for task in tasks}
    order = Order(str(repository.resolve()), choice.as_of, choice.probe, choice.limits.memory)
    count = 0
    with Pool(order, choice.workers, choice.limits) as pool:
        for answer in pool.run(tasks):
            store.put_answer(digests[answer.key], answer)
            seen(answer)
            count += 1
    return count


def _task(submitted: Submitted, key: str) -> Task:
    blobs = tuple((blob.path, blob.mode, blob.oid) for blob in submitted.blobs)
    changes = tuple((change.kind, change.path) for change in submitted.changes)
    return Task(key, submitted.digest, submitted.folder, blobs, changes, submitted.record)
