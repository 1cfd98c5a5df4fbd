"""The report as Markdown: for a step summary or a comment on a pull request.

Untrusted text stands in code spans and fences only: there, nothing is markup, nobody is mentioned, nothing is linked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from auditor.findings import Verdict
from auditor.report import card
from auditor.report.document import Audit, FindingEntry, PathStep, RuleEntry

LONGEST = 60_000
"""Characters: GitHub refuses comments beyond 65,536."""
_MOST_FINDINGS = 3
_MOST_NOTES = 12
_LINE = 160
_MARKS = {Verdict.VIOLATION: "❌", Verdict.NEEDS_REVIEW: "⚠️", Verdict.CLEAR: "✅"}


def render(audit: Audit) -> str:
    """The report, at most :data:`LONGEST` characters."""
    kept, left = [], LONGEST
    for block in _blocks(audit):
        left -= len(block) + 2
        if left < 0:
            kept.append("The rest is in the full report.")
            break
        kept.append(block)
    return "\n\n".join(kept) + "\n"


def code(text: str) -> str:
    """Untrusted text as a code span."""
    line = card.escape(text)
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def _blocks(audit: Audit) -> Iterator[str]:
    yield f"## {_MARKS[audit.verdict]} {card.VERDICTS[audit.verdict]}"
    yield code(card.headline(audit) or audit.submission.path)
    yield "\n".join(["| | | |", "|---|---|---|", *(_row(row) for row in card.rows(audit))])
    for rule in card.found(audit):
        yield from _rule(rule)
    for name in audit.coverage.probe.evidence:
        yield f"Counter-example: `audit replay DIR/{name} PR_DIR`"
    for reason, names in card.undecided(audit).items():
        yield f"**not-analysable** ({', '.join(names)}): {code(_shorten(reason))}"
    noted = card.notes(audit)
    if noted:
        yield "### Notes\n\nThese never decide."
        yield "\n".join(_note(rule) for rule in noted[:_MOST_NOTES])
    yield from _footer(audit)


def _row(row: card.CardRow) -> str:
    notes = f" (notes: {', '.join(row.notes)})" if row.notes else ""
    return f"| {card.CONDITIONS[row.condition]} | {row.says} | {(', '.join(row.rules) + notes).strip()} |"


def _rule(rule: RuleEntry) -> Iterator[str]:
    counted = card.active(rule)
    conditions = "+".join((rule.condition, *rule.also))
    yield f"### {rule.rule}: {rule.status.value} ({conditions})\n\n{rule.title}."
    if rule.suppressed is not None:
        yield f"Suppressed: {code(rule.suppressed)}"
    for finding in counted[:_MOST_FINDINGS]:
        yield _finding(finding)
    if len(counted) > _MOST_FINDINGS:
        yield f"{len(counted) - _MOST_FINDINGS} more like these."
    yield f"*Why:* {rule.why}\n*Instead:* {rule.legal}"


def _finding(finding: FindingEntry) -> str:
    text = f"{code(finding.sentence)}\n\n"
    if not finding.path:
        return text + f"{code(card.where(finding))}" + (f"\n\n{_fence([finding.text])}" if finding.text else "")
    return text + _fence(_path(finding.path))


def _path(path: Sequence[PathStep]) -> Iterator[str]:
    for number, step in enumerate(path, 1):
        yield f"{number}. {card.where(step)}: {card.escape(step.why)}"
        yield f"       {_shorten(card.escape(step.text))}"


def _fence(lines: Iterator[str] | Sequence[str]) -> str:
    """Lines in a fence that none of them can close; the lines are escaped here, too."""
    text = [_shorten(card.escape(line)) for line in lines]
    ticks = "`" * max(3, *(len(run) + 1 for line in text for run in re.findall("`+", line) or [""]))
    return "\n".join([f"{ticks}text", *text, ticks])


def _note(rule: RuleEntry) -> str:
    first = card.active(rule)[0]
    contested = " (contested)" if rule.contested else ""
    return f"- {rule.rule}{contested}: {code(_shorten(card.where(first) + ': ' + first.message))}"


def _footer(audit: Audit) -> Iterator[str]:
    static, probe = audit.coverage.static, audit.coverage.probe
    yield from (f"Not read: {code(_shorten(line))}" for line in static.unread[:4])
    yield from (f"Not followed: {code(_shorten(line))}" for line in static.incomplete[:4])
    yield f"<sub>{card.looked_at(static)}; {card.experiments(probe)}</sub>"
    if audit.verdict is Verdict.CLEAR:
        yield f"<sub>{card.NO_STATEMENT}</sub>"


def _shorten(text: str) -> str:
    return text if len(text) <= _LINE else text[: _LINE - 1] + "…"
