"""From results to the document: source lines, fingerprints, coverage, facts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from auditor.audited import Audited
from auditor.findings import Finding, RuleResult, Step
from auditor.probe.covered import Covered
from auditor.report.document import (
    Coverage,
    Facts,
    FindingEntry,
    PathStep,
    RuleEntry,
    SettingEntry,
    StaticCoverage,
    SubmissionEntry,
)
from auditor.report.excerpt import Excerpts
from auditor.rule import Rule
from auditor.submission import Log, Setting, Submission


def rule_entries(rules: Sequence[Rule], results: Sequence[RuleResult], submission: Submission) -> tuple[RuleEntry, ...]:
    """One entry per rule; none decides yet on more than its severity."""
    excerpts = Excerpts(submission)
    return tuple(_entry(rule, result, excerpts) for rule, result in zip(rules, results, strict=True))


def _entry(rule: Rule, result: RuleResult, excerpts: Excerpts) -> RuleEntry:
    return RuleEntry(
        rule=result.rule,
        title=rule.title,
        condition=result.condition,
        also=result.also,
        severity=result.severity,
        status=result.status,
        reason=result.reason,
        findings=_finding_entries(result, excerpts),
        contested=result.contested,
        decides=False,
        suppressed=None,
        why=rule.why,
        legal=rule.legal,
        facts=dict(result.facts),
    )


def _finding_entries(result: RuleResult, excerpts: Excerpts) -> tuple[FindingEntry, ...]:
    seen: dict[str, int] = {}
    entries = []
    for finding in result.findings:
        text = next((s.text for s in finding.path if (s.file, s.line) == (finding.file, finding.line)), "")
        text = text or excerpts.line(finding.file, finding.line)
        base = _fingerprint(result.rule, finding, text)
        seen[base] = seen.get(base, 0) + 1
        shipped_file, shipped_line = excerpts.shipped(finding.file, finding.line)
        entries.append(
            FindingEntry(
                file=finding.file,
                line=finding.line,
                text=text,
                shipped_file=shipped_file,
                shipped_line=shipped_line,
                message=finding.message,
                path=tuple(_step(step, excerpts) for step in finding.path),
                dormant=finding.dormant,
                experiment=finding.experiment,
                fingerprint=base if seen[base] == 1 else f"{base}-{seen[base]}",
            )
        )
    return tuple(entries)


def _step(step: Step, excerpts: Excerpts) -> PathStep:
    shipped_file, shipped_line = excerpts.shipped(step.file, step.line)
    text = step.text or excerpts.line(step.file, step.line)
    return PathStep(step.file, step.line, text, shipped_file, shipped_line, step.why)


def _fingerprint(rule: str, finding: Finding, text: str) -> str:
    """Rule, file and the texts along the path, but no line numbers: edits elsewhere in the file leave it alone."""
    parts = [rule, finding.file, text or finding.message, *(step.text for step in finding.path)]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def submission_entry(audited: Audited, digest: str, path: str) -> SubmissionEntry:
    """What was audited."""
    submission = audited.submission
    metadata = submission.metadata
    return SubmissionEntry(
        path=path,
        name=(metadata and metadata.name) or submission.root.resolve().name,
        author=(metadata and (metadata.author or metadata.github_id)) or "",
        val_bpb=metadata.val_bpb if metadata else None,
        date=metadata.date if metadata else None,
        entry=submission.main.name if submission.main else "",
        sources=tuple(submission.sources),
        digest=digest,
    )


def coverage(audited: Audited, rules: int, incomplete: Iterable[str], covered: Covered) -> Coverage:
    """What the verdict rests on."""
    submission = audited.submission
    unread = tuple(
        f"{problem.file or 'folder'}{f':{problem.line}' if problem.line else ''}: {problem.message}"
        for problem in submission.problems
    )
    analysed = sum(source.problem is None for source in submission.sources.values())
    static = StaticCoverage(rules, analysed, len(submission.kernels), len(submission.logs), unread, tuple(incomplete))
    return Coverage(static, covered.coverage, covered.engaged)


def facts(audited: Audited) -> Facts:
    """Launch, logs and sizes."""
    submission = audited.submission
    launch = {
        name: _setting(setting)
        for settings in (submission.launch.environment, submission.launch.logged)
        for name, setting in settings.items()
    }
    sizes = {file.name: file.size for file in submission.files.values() if file.name in submission.sources}
    sizes |= {file.name: file.size for file in submission.artifacts}
    return Facts(launch, {log.name: _log(log) for log in submission.logs}, sizes)


def _setting(setting: Setting) -> SettingEntry:
    conflicts = tuple(other.value for other in setting.conflicts[:8])
    return SettingEntry(setting.value, setting.source, setting.file, setting.line, conflicts)


def _log(log: Log) -> dict[str, Any]:
    """A log's numbers; what it does not say is left out."""
    final = log.final_score
    values: Mapping[str, Any] = {
        "seed": log.seed,
        "val_bpb": final.val_bpb if final else None,
        "val_loss": final.val_loss if final else None,
        "source": None if log.dump is None else log.dump.matches or "another script",
        **{
            name: [fact.value for fact in getattr(log, name)]
            for name in (
                "val_tokens",
                "train_shards",
                "stop",
                "hessian_seconds",
                "total_eval_seconds",
                "total_bytes",
                "code_bytes",
                "model_bytes",
            )
        },
    }
    return {name: value for name, value in values.items() if value not in (None, [])}
