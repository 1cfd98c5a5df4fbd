"""A report built by hand: every kind of rule entry, with text that would like to be markup."""

from __future__ import annotations

import datetime

from auditor.findings import Condition, Severity, Status, Verdict
from auditor.report.document import (
    SCHEMA_VERSION,
    Audit,
    Coverage,
    Facts,
    FindingEntry,
    PathStep,
    ProbeCoverage,
    RuleEntry,
    SettingEntry,
    StaticCoverage,
    SubmissionEntry,
    SuppressionEntry,
    Timing,
)

HOSTILE = "</script><img src=x onerror=alert(1)>`|\n::error::x\x1b[2J\u202e@everyone %0A ]]>"


def step(number: int, line: int, text: str, why: str) -> PathStep:
    """A step in a packed script."""
    return PathStep("train_gpt.py!inner", line, text, "train_gpt.py", number, why)


def finding(
    message: str = "the key holds the target", *, dormant: bool = False, known: bool = False, experiment: str = ""
) -> FindingEntry:
    """A finding with a path of three steps, two of them close to each other."""
    path = (
        step(1, 2, "x, y = batch(val)", "the target is read"),
        step(1, 4, "key = hash(x, y)", "the key is built from it"),
        step(1, 30, "p = table[key]", "the probability is looked up"),
    )
    place = path[0]
    return FindingEntry(
        file=place.file,
        line=place.line,
        text=place.text,
        shipped_file=place.shipped_file,
        shipped_line=place.shipped_line,
        message=message,
        path=path,
        dormant=dormant,
        fingerprint="0123456789abcdef",
        known=known,
        experiment=experiment,
    )


def fact(message: str) -> FindingEntry:
    """A finding in a log, without a path."""
    return FindingEntry("train.log", 7, "stop 640 s", "train.log", 7, message)


def entry(
    rule: str,
    status: Status,
    *findings: FindingEntry,
    severity: Severity = Severity.VIOLATION,
    condition: Condition = Condition.CAUSALITY,
    reason: str = "",
    suppressed: str | None = None,
) -> RuleEntry:
    """What one rule says."""
    return RuleEntry(
        rule=rule,
        title=f"title of {rule}",
        condition=condition,
        also=(),
        severity=severity,
        status=status,
        reason=reason,
        findings=findings,
        contested=severity is Severity.REVIEW,
        decides=severity is Severity.VIOLATION and suppressed is None,
        suppressed=suppressed,
        why=f"why {rule}",
        legal=f"instead of {rule}",
        facts={},
    )


RULES = (
    entry("target-in-key", Status.TRACED, finding(), finding(HOSTILE), finding(dormant=True)),
    entry("too-late", Status.PROVED, fact("trained for 640 s"), condition=Condition.TIME),
    entry("leaks", Status.PROVED, finding(experiment="the probabilities add up to 2.5, <not> 1")),
    entry("unnormalised", Status.NOT_ANALYSABLE, condition=Condition.NORMALISATION, reason=f"cannot follow {HOSTILE}"),
    entry("doubtful", Status.SUSPECTED, fact("may be"), condition=Condition.DATA),
    entry("other", Status.CLEAR, condition=Condition.SINGLE_PASS),
    entry("absent", Status.NOT_APPLICABLE, condition=Condition.BYTES, reason="nothing of the kind occurs"),
    entry("a-note", Status.TRACED, fact("a matter of form"), severity=Severity.REVIEW, condition=Condition.PROCESS),
    entry("excused", Status.TRACED, fact("known"), condition=Condition.TIME, suppressed="the clock was wrong"),
)


def document(verdict: Verdict = Verdict.VIOLATION, rules: tuple[RuleEntry, ...] = RULES, name: str = HOSTILE) -> Audit:
    """The report."""
    return Audit(
        schema_version=SCHEMA_VERSION,
        submission=SubmissionEntry(
            path="records/track/one",
            name=name,
            author="an <author>",
            val_bpb=1.0585,
            date=datetime.date(2026, 4, 2),
            entry="train_gpt.py",
            sources=("train_gpt.py",),
            digest="d" * 64,
        ),
        verdict=verdict,
        coverage=Coverage(
            StaticCoverage(len(rules), 1, 0, 1, ("a.bin: <unread>",), ("a loop",)),
            ProbeCoverage(ran=False, reason="no"),
        ),
        rules=rules,
        suppressions=(
            SuppressionEntry("excused", "the clock was wrong", datetime.date(2026, 5, 1), None, matched=True),
        ),
        as_of=None,
        facts=Facts(
            launch={"STEPS": SettingEntry("<b>3</b>", "readme", "README.md", 4)},
            logs={"train.log": {"stop": [640.0], "total_bytes": [15_900_000], "total_eval_seconds": [500.0]}},
            sizes={},
        ),
        timing=Timing(0.1, 0.25),
    )
