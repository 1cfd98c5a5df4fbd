"""The database of a sweep: who submitted what, and one answer per folder, rule book and choice of options.

An answer is entered in one transaction as soon as it is there, so a sweep may be interrupted at any moment.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from auditor.report.document import Audit, read_audit
from auditor.sweep.messages import Answer
from auditor.sweep.plan import Submitted

_VERSION = 1
_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
    verdict TEXT, audit BLOB, code TEXT NOT NULL, shape TEXT NOT NULL, launch TEXT NOT NULL,
    absent TEXT NOT NULL, seconds REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS submissions (
    ref TEXT NOT NULL, folder TEXT NOT NULL, pull INTEGER, head TEXT NOT NULL, time INTEGER NOT NULL,
    key TEXT NOT NULL, elsewhere INTEGER NOT NULL, PRIMARY KEY (ref, folder)
) STRICT;
CREATE INDEX IF NOT EXISTS by_key ON submissions (key);
PRAGMA user_version = {_VERSION};
"""


@dataclass(frozen=True)
class Entry:
    """One submission of one pull request with its answer.

    Attributes:
        ref, folder, pull, head: where it is from.
        time: seconds since the epoch when its last commit was authored.
        elsewhere: files that the pull request changes outside of the folder.
        key: of the answer; submissions with the same files share it.
        outcome, reason: see :class:`auditor.sweep.messages.Answer`.
        audit: the report; None unless audited.
        code, shape, launch: see :class:`auditor.sweep.likeness.Likeness`.
        absent: files that the repository's copy lacks.
        seconds: wall seconds of the audit.
    """

    ref: str
    folder: str
    pull: int | None
    head: str
    time: int
    elsewhere: int
    key: str
    outcome: str
    reason: str
    audit: Audit | None
    code: str
    shape: str
    launch: str
    absent: tuple[str, ...]
    seconds: float

    @property
    def name(self) -> str:
        """Where it is from, for people: ``#12`` or the ref."""
        return f"#{self.pull}" if self.pull is not None else self.ref


class Store:
    """A database file, made when there is none.

    Args:
        path: the file.

    Raises:
        sqlite3.DatabaseError: it is no database, or another program's.
    """

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path)
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and version != _VERSION:
            raise sqlite3.DatabaseError("not a database that a sweep wrote")
        self._database.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._database.close()

    def holds(self, key: str, *, failures: bool = True) -> bool:
        """Whether there is an answer; without ``failures``, whether there is a report."""
        row = self._database.execute("SELECT outcome FROM answers WHERE key = ?", (key,)).fetchone()
        return row is not None and (failures or row[0] == "audited")

    def put_submission(self, submitted: Submitted, key: str) -> None:
        """Enter who submitted what."""
        home = submitted.folder + "/"
        elsewhere = sum(not change.path.startswith(home) for change in submitted.changes) if submitted.folder else 0
        head = submitted.ref
        row = (head.name, submitted.folder, submitted.pull, head.commit, head.time, key, elsewhere)
        with self._database:
            values = [_text(value) if isinstance(value, str) else value for value in row]
            self._database.execute("INSERT OR REPLACE INTO submissions VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    def forget_submissions(self, ref: str) -> None:
        """Drop what a ref brought, before it is entered anew: it may have moved on."""
        with self._database:
            self._database.execute("DELETE FROM submissions WHERE ref = ?", (_text(ref),))

    def put_answer(self, digest: str, answer: Answer) -> None:
        """Enter an answer."""
        audit = None if answer.audit is None else zlib.compress(msgspec.json.encode(answer.audit), 6)
        verdict = None if answer.audit is None else answer.audit.verdict.value
        row = (answer.key, digest, answer.outcome, _text(answer.reason), verdict, audit)
        rest = (answer.code, answer.shape, answer.launch, json.dumps(answer.absent), answer.seconds)
        with self._database:
            places = ", ".join("?" * 11)
            self._database.execute(f"INSERT OR REPLACE INTO answers VALUES ({places})", (*row, *rest))  # noqa: S608

    def entries(self) -> Iterator[Entry]:
        """Every submission that has an answer of this version, by pull request, then ref and folder."""
        rows = self._database.execute(
            "SELECT ref, folder, pull, head, time, elsewhere, key, outcome, reason, audit, code, shape, launch, absent,"
            " seconds FROM submissions JOIN answers USING (key) ORDER BY pull IS NULL, pull, ref, folder"
        )
        for row in rows:
            ref, folder, pull, head, time, elsewhere, key, outcome, reason, audit, *digests, absent, seconds = row
            code, shape, launch = digests
            try:
                report = None if audit is None else read_audit(zlib.decompress(audit))
            except ValueError:  # of another version of the report; the next sweep of this ref audits it again
                continue
            yield Entry(
                ref=ref,
                folder=folder,
                pull=pull,
                head=head,
                time=time,
                elsewhere=elsewhere,
                key=key,
                outcome=outcome,
                reason=reason,
                audit=report,
                code=code,
                shape=shape,
                launch=launch,
                absent=tuple(json.loads(absent)),
                seconds=seconds,
            )


def _text(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
