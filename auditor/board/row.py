"""A submission in one row: what the table, the plot and the rankings need of it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass

from auditor.findings import Severity, Status
from auditor.report.card import FOUND, UNSURE, escape
from auditor.report.document import Audit
from auditor.sweep.groups import Group
from auditor.sweep.store import Entry

NOT_JUDGED = "not-judged"
_BROKEN = (Status.PROVED, Status.TRACED)
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Row:
    """One submission; texts are escaped once, by :func:`auditor.report.card.escape`, and still no markup.

    Attributes:
        page: name of its page, made of digits and letters.
        pull: number of the pull request; None for another ref.
        name, author, folder: as submitted.
        track: ``record``, ``non-record`` or ``other``, by the folder.
        bpb: the claim.
        verdict: or ``not-judged`` where the audit failed.
        broken: conditions with a proved or traced violation.
        doubted: conditions where a deciding rule suspects or could not decide.
        grade: the strongest status of the rules that decide; empty when none of them found anything.
        date: day of the last commit, UTC.
        rules: every rule that found something or could not decide, with its status.
        copy: resembles an earlier submission so closely that nothing else runs.
    """

    page: str
    pull: int | None
    name: str
    author: str
    folder: str
    track: str
    bpb: float | None
    verdict: str
    broken: tuple[str, ...]
    doubted: tuple[str, ...]
    grade: str
    date: str
    rules: tuple[tuple[str, Status], ...]
    copy: bool


def row_of(entry: Entry, page: str, group: Group | None) -> Row:
    """The row of an entry."""
    audit = entry.audit
    member = next(m for m in group.members if (m.ref, m.folder) == (entry.ref, entry.folder)) if group else None
    day = datetime.datetime.fromtimestamp(entry.time, datetime.UTC).date()
    return Row(
        page=page,
        pull=entry.pull,
        name=_short(audit.submission.name if audit else "") or _short(entry.folder) or "scripts at the top",
        author=_short(audit.submission.author) if audit else "",
        folder=_short(entry.folder),
        track=track_of(entry.folder),
        bpb=audit.submission.val_bpb if audit else None,
        verdict=audit.verdict.value if audit else NOT_JUDGED,
        broken=_conditions(audit, _BROKEN),
        doubted=_conditions(audit, tuple(set(UNSURE) - set(_BROKEN))),
        grade=_grade(audit),
        date=day.isoformat(),
        rules=tuple(_speaking(audit)) if audit else (),
        copy=member is not None and member.inherits,
    )


def track_of(folder: str) -> str:
    """The track that the folder lies in."""
    lower = folder.lower().replace("-", "_")
    if "non_record" in lower:
        return "non-record"
    return "record" if re.search(r"(^|/)track_10min", lower) else "other"


def _conditions(audit: Audit | None, statuses: tuple[Status, ...]) -> tuple[str, ...]:
    """Conditions of the deciding rules with one of the statuses, in their order."""
    if audit is None:
        return ()
    rules = [rule for rule in audit.rules if rule.decides and rule.status in statuses]
    found = {condition for rule in rules for condition in (rule.condition, *rule.also)}
    return tuple(condition.value for condition in type(audit.rules[0].condition) if condition in found)


def _grade(audit: Audit | None) -> str:
    deciding = [rule.status for rule in audit.rules if rule.decides] if audit else []
    strongest = min(deciding, key=list(Status).index, default=None)
    return strongest.value if strongest in UNSURE else ""


def _speaking(audit: Audit) -> Iterator[tuple[str, Status]]:
    for rule in audit.rules:
        undecided = rule.status is Status.NOT_ANALYSABLE and rule.severity is Severity.VIOLATION
        if rule.status in FOUND or undecided:
            yield rule.rule, rule.status


def _short(text: str) -> str:
    line = escape(text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
