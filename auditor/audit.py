"""Audit one folder: read it, ask every rule, decide."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from auditor.audited import Audited
from auditor.claim import is_withdrawn
from auditor.findings import RuleResult, Severity, Status, Verdict, verdict_of
from auditor.flow_rule import FlowRule
from auditor.options import Options
from auditor.probe.covered import Covered, nothing_ran
from auditor.probe.kinds import OF_SCORES, why_not
from auditor.report import build
from auditor.report.document import SCHEMA_VERSION, Audit, RuleEntry, Timing, encodable
from auditor.rule import Rule
from auditor.rule_packs import load_rules
from auditor.submission import read_submission
from auditor.suppressions import suppress


def audit_folder(path: Path, options: Options, digest: str = "", rules: Sequence[Rule] | None = None) -> Audit:
    """Audit the submission in folder ``path``.

    Args:
        path: the folder.
        options: see :class:`Options`.
        digest: SHA-256 of what is read, for the report.
        rules: the rule book; None loads every pack.

    Raises:
        UnreadableSubmissionError: there is no such folder.
        RulePackError: no rules.
    """
    start = time.perf_counter()
    audited = Audited(read_submission(path), options.all_flags, options.as_of)
    return audit_submission(audited, options, digest, rules, time.perf_counter() - start)


def audit_submission(
    audited: Audited, options: Options, digest: str = "", rules: Sequence[Rule] | None = None, read: float = 0.0
) -> Audit:
    """Audit a submission that has been read, by a caller who may know more of it than its folder says.

    Args:
        audited: the submission; its flags and day are those of ``options``.
        options: see :class:`Options`.
        digest: SHA-256 of what was read, for the report.
        rules: the rule book; None loads every pack.
        read: seconds that reading took, for the report.

    Raises:
        RulePackError: no rules.
    """
    start = time.perf_counter()
    chosen = choose(load_rules() if rules is None else rules, options.select, options.ignore)
    results = tuple(check(rule, audited) for rule in chosen)
    seconds = time.perf_counter() - start
    results, covered = _probe(chosen, results, audited, options)
    probe_seconds = time.perf_counter() - start - seconds
    entries = build.rule_entries(chosen, results, audited.submission)
    entries, suppressed = suppress(entries, options.suppressions)
    entries = tuple(_decide(entry, options) for entry in entries)
    incomplete = audited.flow.unanalysed if any(isinstance(rule, FlowRule) for rule in chosen) else ()
    document = Audit(
        schema_version=SCHEMA_VERSION,
        submission=build.submission_entry(audited, digest, os.fspath(audited.submission.root)),
        verdict=_verdict(results, entries),
        coverage=build.coverage(audited, len(chosen), incomplete, covered),
        rules=entries,
        suppressions=suppressed,
        as_of=options.as_of,
        facts=build.facts(audited),
        timing=Timing(round(read, 4), round(seconds, 4), round(probe_seconds, 4), round(covered.cpu_seconds, 2)),
    )
    return encodable(document)


def choose(rules: Sequence[Rule], select: Collection[str], ignore: Collection[str]) -> tuple[Rule, ...]:
    """The rules that are asked."""
    return tuple(rule for rule in rules if (not select or rule.id in select) and rule.id not in ignore)


def check(rule: Rule, audited: Audited) -> RuleResult:
    """One rule's result; a ruling from after the day of judgement does not apply."""
    if audited.as_of is not None and rule.since > audited.as_of:
        return rule.not_applicable(f"the ruling is of {rule.since}, later than {audited.as_of}")
    return rule.check(audited)


def _probe(
    rules: Sequence[Rule], results: tuple[RuleResult, ...], audited: Audited, options: Options
) -> tuple[tuple[RuleResult, ...], Covered]:
    """What experiments make of the results, and what they covered."""
    if options.probe is None:
        return results, nothing_ran("not asked for")
    withdrawn = "the score is retracted" if is_withdrawn(audited) else ""
    reason = withdrawn or why_not([result.rule for result in results], audited.submission)
    if reason:
        return results, nothing_ran(reason)
    from auditor.probe.conclude import conclude  # numpy, and more: only where code runs

    of_scores = [rule for rule in rules if rule.id in OF_SCORES]
    return conclude(results, audited, options.probe, lambda other: tuple(check(rule, other) for rule in of_scores))


def _decide(entry: RuleEntry, options: Options) -> RuleEntry:
    """Mark what the baseline knows, and whether the rule counts towards the verdict."""
    findings = tuple(
        msgspec.structs.replace(finding, known=finding.fingerprint in options.known) for finding in entry.findings
    )
    active = [finding for finding in findings if not finding.dormant]
    # A status without findings cannot be told from one in the baseline; its fingerprint is the rule's name.
    known = all(finding.known for finding in active) if active else entry.rule in options.known
    severe = entry.severity is Severity.VIOLATION or (options.strict and entry.severity is Severity.REVIEW)
    decides = severe and entry.suppressed is None and not known
    return msgspec.structs.replace(entry, findings=findings, decides=decides)


def _verdict(results: Sequence[RuleResult], entries: Sequence[RuleEntry]) -> Verdict:
    counted = [result for result, entry in zip(results, entries, strict=True) if entry.decides]
    verdict = verdict_of(tuple(counted))
    noted = {Status.PROVED, Status.TRACED, Status.SUSPECTED}
    if verdict is Verdict.CLEAR and any(result.status in noted for result in counted):
        return Verdict.NEEDS_REVIEW  # only --strict lets a rule of severity R count
    return verdict
