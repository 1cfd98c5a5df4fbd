"""From refs to the list of submissions that they bring."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from auditor.sweep.folders import submission_folders
from auditor.sweep.record import best_record
from auditor.sweep.repository import Blob, Change, Ref, Repository

_PULL = re.compile(r"refs/pull/(\d+)/head")
_MOST_FOLDERS = 64
"""Submissions taken of one ref: a fork that moved everything brings hundreds that are not its own."""


@dataclass(frozen=True)
class Submitted:
    """One submission of one pull request.

    Attributes:
        ref: the pull request's head.
        pull: its number; None for a ref that is no pull request.
        folder: path in the repository; ``""`` for changed scripts at the top.
        blobs: its files, paths relative to ``folder``.
        changes: everything that the pull request changes.
        record: best score on the record track where the pull request left main, bits per byte; None without one.
    """

    ref: Ref
    pull: int | None
    folder: str
    blobs: tuple[Blob, ...]
    changes: tuple[Change, ...]
    record: float | None

    @property
    def digest(self) -> str:
        """SHA-256 over the folder's path and its files' names, modes and contents."""
        content = [self.folder, [[blob.path, blob.mode, blob.oid] for blob in self.blobs]]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def number_of(ref: str) -> int | None:
    """The pull request's number, where the ref is the head of one."""
    match = _PULL.fullmatch(ref)
    return int(match[1]) if match else None


def submissions_of(repository: Repository, ref: Ref, main: str) -> Iterator[Submitted]:
    """Every submission that the ref adds or changes relative to where it left ``main``."""
    base = repository.base(main, ref.commit)
    changes = repository.changes(base, ref.commit)
    for folder in submission_folders(changes)[:_MOST_FOLDERS]:
        blobs = repository.blobs(ref.commit, folder)
        if not folder:
            changed = {change.path for change in changes}
            blobs = tuple(blob for blob in blobs if "/" not in blob.path and blob.path in changed)
        if not any(blob.path.endswith((".py", "submission.json", "README.md")) for blob in blobs):
            continue  # notes and data that somebody keeps below records
        yield Submitted(ref, number_of(ref.name), folder, blobs, changes, best_record(repository, base))


def parse_numbers(text: str) -> frozenset[int]:
    """``1,2,5-9`` as numbers.

    Raises:
        ValueError: it is not such a list.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,7})(?:\s*-\s*(\d{1,7}))?\s*", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise ValueError(f"{part.strip()!r} is no number and no range")
        numbers |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(numbers)


def chosen(refs: Collection[Ref], pulls: frozenset[int] | None) -> tuple[Ref, ...]:
    """Refs to sweep, the earliest pull request first, so that copies come after what they copy."""
    numbered = [(number_of(ref.name), ref) for ref in refs]
    kept = [(number or 0, ref.name, ref) for number, ref in numbered if pulls is None or number in pulls]
    return tuple(ref for _, _, ref in sorted(kept, key=lambda item: item[:2]))
