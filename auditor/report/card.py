"""What every report for people says first, and the words it uses: the verdict, then one row per condition.

Everything that comes from the submission goes through :func:`escape` before anything else is done with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.findings import Condition, Severity, Status, Verdict
from auditor.report.document import Audit, FindingEntry, Place, ProbeCoverage, RuleEntry, StaticCoverage

CONDITIONS = {
    Condition.CAUSALITY: "C1 causality",
    Condition.NORMALISATION: "C2 normalisation",
    Condition.SCORE_FIRST: "C3 score before update",
    Condition.SINGLE_PASS: "C4 one pass",
    Condition.BYTES: "bits per byte",
    Condition.TIME: "time",
    Condition.DATA: "data",
    Condition.PROCESS: "size and process",
}
VERDICTS = {
    Verdict.VIOLATION: "VIOLATION",
    Verdict.NEEDS_REVIEW: "NEEDS REVIEW",
    Verdict.CLEAR: "NOTHING FOUND",
}
FOUND = (Status.PROVED, Status.TRACED, Status.SUSPECTED)
UNSURE = (*FOUND, Status.NOT_ANALYSABLE)
NO_STATEMENT = "Nothing found is not a statement that the submission is legal."
_ORDER = list(Status)


@dataclass(frozen=True, slots=True)
class CardRow:
    """One condition.

    Attributes:
        condition: which.
        status: the strongest of the rules that decide; None when none was asked.
        rules: those that say so, where something is found or could not be decided.
        notes: rules that never decide and found something.
    """

    condition: Condition
    status: Status | None
    rules: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def says(self) -> str:
        """The status in words."""
        if self.status is None:
            return "not asked"
        return "nothing found" if self.status is Status.CLEAR else self.status.value


def rows(audit: Audit) -> tuple[CardRow, ...]:
    """A row per condition, in their order."""
    return tuple(_row(condition, audit.rules) for condition in Condition)


def active(rule: RuleEntry) -> tuple[FindingEntry, ...]:
    """Findings that count."""
    return tuple(finding for finding in rule.findings if not finding.dormant)


def found(audit: Audit) -> tuple[RuleEntry, ...]:
    """Rules of severity V that found something, strongest first."""
    rules = [rule for rule in audit.rules if rule.severity is Severity.VIOLATION and rule.status in FOUND]
    return tuple(sorted(rules, key=lambda rule: _ORDER.index(rule.status)))


def undecided(audit: Audit) -> dict[str, list[str]]:
    """Rules of severity V that could not decide, by the reason that they share."""
    reasons: dict[str, list[str]] = {}
    for rule in audit.rules:
        if rule.severity is Severity.VIOLATION and rule.status is Status.NOT_ANALYSABLE:
            reasons.setdefault(rule.reason, []).append(rule.rule)
    return reasons


def notes(audit: Audit) -> tuple[RuleEntry, ...]:
    """Rules that never decide and found something."""
    return tuple(rule for rule in audit.rules if rule.severity is not Severity.VIOLATION and rule.status in FOUND)


def headline(audit: Audit) -> str:
    """Name, author and claim on one line; untrusted text, escaped."""
    submission = audit.submission
    parts = [escape(submission.name)[:80], escape(submission.author)[:60]]
    parts.append(f"claims {submission.val_bpb:.4f} bpb" if submission.val_bpb else "")
    return ", ".join(part for part in parts if part)


def where(place: Place) -> str:
    """``file:line``, with the place as shipped where code was packed; untrusted text, escaped."""
    text = escape(place.file) + (f":{place.line}" if place.line else "")
    if (place.shipped_file, place.shipped_line) == (place.file, place.line):
        return text or "the folder"
    return f"{text} (packed in {escape(place.shipped_file)}:{place.shipped_line})"


def looked_at(static: StaticCoverage) -> str:
    """What the static half read, in numbers."""
    counts = ((static.rules, "rule"), (static.sources, "script"), (static.kernels, "kernel"), (static.logs, "log"))
    return "looked at: " + ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)


def experiments(probe: ProbeCoverage) -> str:
    """What ran of the submission's code, and whether it allows a conclusion."""
    if not probe.ran:
        return f"no experiments: {escape(probe.reason)}"
    ran = f"experiments: {probe.executions} runs of its code ({probe.tier})"
    return f"{ran}, no conclusion: {escape(probe.reason)}" if probe.reason else ran


def escape(text: str) -> str:
    """Untrusted text on one line: control, format and surrogate characters become visible escapes."""
    return "".join(c if c.isprintable() else " " if c == "\t" else ascii(c)[1:-1] for c in text)


def _row(condition: Condition, every: Sequence[RuleEntry]) -> CardRow:
    rules = [rule for rule in every if condition in (rule.condition, *rule.also)]
    deciding = [rule for rule in rules if rule.severity is Severity.VIOLATION]
    status = min((rule.status for rule in deciding), key=_ORDER.index, default=None)
    who = tuple(rule.rule for rule in deciding if rule.status is status) if status in UNSURE else ()
    also = tuple(rule.rule for rule in rules if rule.severity is not Severity.VIOLATION and rule.status in FOUND)
    return CardRow(condition, status, who, also)
