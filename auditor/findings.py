"""What `audit` says: the one model behind every report.

A rule gives one :class:`RuleResult`; whatever prints (terminal, JSON, SARIF, HTML) reads only this.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class Condition(enum.StrEnum):
    """What a rule protects: the four conditions of an honest score, honest bytes, budgets, data and process."""

    CAUSALITY = "C1"
    NORMALISATION = "C2"
    SCORE_FIRST = "C3"
    SINGLE_PASS = "C4"  # noqa: S105 - one pass over the stream, no password
    BYTES = "bytes"
    TIME = "time"
    DATA = "data"
    PROCESS = "process"


class Severity(enum.StrEnum):
    """What a finding leads to."""

    VIOLATION = "V"
    """Decides: proved or traced makes a violation, suspected or not analysable makes needs-review."""
    REVIEW = "R"
    """Disputed, or not provable statically: printed as a note."""
    FORMAT = "F"
    """A matter of form: printed as a note."""


class Status(enum.StrEnum):
    """What is known about one rule and one submission, strongest first."""

    PROVED = "proved"
    """A counter-example ran."""
    TRACED = "traced"
    """A complete path through reachable code, under the documented launch configuration."""
    SUSPECTED = "suspected"
    """Signs without a complete path."""
    NOT_ANALYSABLE = "not-analysable"
    """The rule cannot decide, and says why; never reads as clear."""
    CLEAR = "clear"
    """Looked for and not found. Not a statement that the submission is legal."""
    NOT_APPLICABLE = "not-applicable"
    """What the rule speaks of does not occur."""


class Verdict(enum.StrEnum):
    """Over all rules."""

    VIOLATION = "violation"
    NEEDS_REVIEW = "needs-review"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an evidence path.

    Attributes:
        file: path relative to the submission's folder, of the file as shipped (a packed script is named with the inner
            file's own name after ``!``).
        line: 1-based line in that file.
        text: the source line, stripped; untrusted text.
        why: why this step matters, such as "the key is built from the target".
    """

    file: str
    line: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One piece of evidence.

    Attributes:
        message: one sentence that names what is wrong in this code.
        file, line: where to look first.
        path: how the evidence flows, in order; empty for facts of logs and metadata.
        dormant: the code is there but off under the launch configuration; never counts against the submission.
        experiment: what running the code showed, one sentence with numbers; empty when nothing ran.
    """

    message: str
    file: str
    line: int
    path: tuple[Step, ...] = ()
    dormant: bool = False
    experiment: str = ""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule says of one submission.

    Attributes:
        rule: id of the rule.
        condition: what it protects; ``also`` further conditions that the same fact breaks.
        severity: V, R or F.
        status: what is known.
        reason: why, for a status without findings (not-analysable, not-applicable).
        findings: the evidence.
        contested: the ruling behind the rule is disputed.
        facts: numbers that the rule computed, for the JSON report.
    """

    rule: str
    condition: Condition
    severity: Severity
    status: Status
    reason: str = ""
    findings: tuple[Finding, ...] = ()
    also: tuple[Condition, ...] = ()
    contested: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


def verdict_of(results: tuple[RuleResult, ...]) -> Verdict:
    """The verdict over all rules: only severity V decides."""
    deciding = [result.status for result in results if result.severity is Severity.VIOLATION]
    if any(status in {Status.PROVED, Status.TRACED} for status in deciding):
        return Verdict.VIOLATION
    if any(status in {Status.SUSPECTED, Status.NOT_ANALYSABLE} for status in deciding):
        return Verdict.NEEDS_REVIEW
    return Verdict.CLEAR
