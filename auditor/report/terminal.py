"""The report for a terminal: the verdict card, then each finding as a compiler would print it.

Everything that comes from the submission is escaped: a log line must not move the cursor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import click

from auditor.findings import Severity, Status, Verdict
from auditor.report.card import (
    CONDITIONS,
    FOUND,
    NO_STATEMENT,
    VERDICTS,
    CardRow,
    active,
    escape,
    experiments,
    looked_at,
    notes,
    rows,
    undecided,
    where,
)
from auditor.report.document import Audit, FindingEntry, PathStep, Place, RuleEntry

_COLOURS = {
    Status.PROVED: "red",
    Status.TRACED: "red",
    Status.SUSPECTED: "yellow",
    Status.NOT_ANALYSABLE: "yellow",
}
_VERDICTS = {Verdict.VIOLATION: "red", Verdict.NEEDS_REVIEW: "yellow", Verdict.CLEAR: "green"}
_MOST_FINDINGS = 5
"""Findings printed per rule; the rest is counted."""
_WIDTH = 110


def render(audit: Audit) -> str:
    """The whole report, styled; click strips the styling where it is not wanted."""
    parts = (*_card(audit), *_details(audit), *_notes(audit), *_latent(audit), *_footer(audit))
    return "\n".join(parts) + "\n"


def _card(audit: Audit) -> Iterator[str]:
    submission = audit.submission
    says = click.style(VERDICTS[audit.verdict], fg=_VERDICTS[audit.verdict], bold=True)
    yield f"{says}  {escape(submission.name)[:80]}"
    about = [escape(submission.author)[:60], f"claims {submission.val_bpb:.4f} bpb" if submission.val_bpb else ""]
    about += [escape(submission.entry), f"as of {audit.as_of}" if audit.as_of else ""]
    yield "  " + ", ".join(part for part in about if part)
    yield ""
    yield from (_row(row) for row in rows(audit))
    yield ""


def _row(row: CardRow) -> str:
    """The strongest status of the rules that decide, and who says so; notes in brackets."""
    text = ", ".join(row.rules) + (f" (notes: {', '.join(row.notes)})" if row.notes else "")
    colour = "green" if row.status is None else _COLOURS.get(row.status, "green")
    return f"  {CONDITIONS[row.condition]:<24}{click.style(f'{row.says:<15}', fg=colour)} {text.strip()}".rstrip()


def _details(audit: Audit) -> Iterator[str]:
    for rule in audit.rules:
        if rule.severity is Severity.VIOLATION and rule.status in FOUND:
            yield from _rule(rule)
    for reason, names in undecided(audit).items():
        label = click.style(f"not-analysable[{', '.join(names)}]", fg=_COLOURS[Status.NOT_ANALYSABLE], bold=True)
        yield f"{label}: {escape(reason)}"
        yield ""


def _rule(rule: RuleEntry) -> Iterator[str]:
    counted = active(rule)
    for position, finding in enumerate(counted[:_MOST_FINDINGS]):
        last = position == len(counted[:_MOST_FINDINGS]) - 1
        yield from _finding(rule, finding, explain=last)
        if not last:
            yield ""
    if len(counted) > _MOST_FINDINGS:
        yield f"  ... and {len(counted) - _MOST_FINDINGS} more like these"
    yield ""


def _heading(rule: RuleEntry) -> str:
    conditions = "+".join((rule.condition, *rule.also))
    label = click.style(f"{rule.status.value}[{rule.rule}]", fg=_COLOURS[rule.status], bold=True)
    return f"{label} {conditions}"


def _finding(rule: RuleEntry, finding: FindingEntry, *, explain: bool) -> Iterator[str]:
    yield f"{_heading(rule)}: {escape(finding.message)}"
    gutter = max(len(str(place.line)) for place in (finding, *finding.path))
    if finding.path:
        yield from _path(finding.path, gutter)
    elif finding.line:
        yield from _excerpt(finding, gutter)
    else:
        yield f"{'':{gutter}}--> {escape(finding.file) or 'the folder'}"
    tail = f"{'':{gutter}} ="
    if finding.experiment:
        yield f"{tail} experiment: {escape(finding.experiment)}"
    if finding.known:
        yield f"{tail} known: in the baseline"
    if rule.suppressed is not None:
        yield f"{tail} suppressed: {escape(rule.suppressed)}"
    if explain:
        yield f"{tail} why: {rule.why}"
        yield f"{tail} instead: {rule.legal}"
        yield f"{tail} more: audit explain {rule.rule}"


def _excerpt(place: Place, gutter: int) -> Iterator[str]:
    yield f"{'':{gutter}}--> {where(place)}"
    yield f"{'':{gutter}} |"
    text = _shorten(place.text)
    yield f"{place.line:>{gutter}} | {text}"
    yield f"{'':{gutter}} | {click.style('^' * max(len(text), 1), fg='red')}"


def _path(path: Sequence[PathStep], gutter: int) -> Iterator[str]:
    """Numbered steps; the file's name once for each run of steps in it."""
    file = None
    for number, step in enumerate(path, 1):
        if step.file != file:
            yield f"{'':{gutter}}--> {where(step)}"
            yield f"{'':{gutter}} |"
            file = step.file
        text = _shorten(step.text)
        yield f"{step.line:>{gutter}} | {text}"
        mark = click.style("^" * max(min(len(text), 40), 1), fg="red")
        yield f"{'':{gutter}} | {mark} {number}. {escape(step.why)}"


def _shorten(text: str) -> str:
    line = escape(text)
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _notes(audit: Audit) -> Iterator[str]:
    """Rules that do not decide, one line each."""
    noted = notes(audit)
    if noted:
        yield click.style("notes", bold=True) + " (never decide)"
    for rule in noted:
        for finding in active(rule)[:2]:
            place = f"{escape(finding.file)}:{finding.line}: " if finding.line else ""
            mark = " (contested)" if rule.contested else ""
            kept = f" [suppressed: {escape(rule.suppressed)}]" if rule.suppressed is not None else ""
            yield f"  {rule.rule}{mark}: {place}{escape(finding.message)}{kept}"
    dormant = [(rule, finding) for rule in audit.rules for finding in rule.findings if finding.dormant]
    if dormant:
        yield (
            click.style("dormant", bold=True)
            + " (off under the documented launch, or no part of the claim; never counts)"
        )
    for rule, finding in dormant[:8]:
        yield f"  {rule.rule}: {escape(finding.file)}:{finding.line}: {escape(finding.message)}"
    if len(dormant) > 8:
        yield f"  ... and {len(dormant) - 8} more"
    if noted or dormant:
        yield ""


def _latent(audit: Audit) -> Iterator[str]:
    """What switches that are off would break, one line each."""
    entries = audit.coverage.probe.latent
    if entries:
        yield (
            click.style("latent", bold=True) + " (with a switch on that the documented launch leaves off; never counts)"
        )
    for entry in entries:
        place = f"{escape(entry.file)}:{entry.line}: " if entry.line else ""
        shown = f"; experiment: {escape(entry.experiment)}" if entry.experiment else ""
        yield f"  {escape(entry.switch)}: {entry.status.value}[{entry.rule}] {place}{escape(entry.message)}{shown}"
    if entries:
        yield ""


def _footer(audit: Audit) -> Iterator[str]:
    static, probe = audit.coverage.static, audit.coverage.probe
    yield from _some("not read", static.unread)
    yield from _some("not followed", static.incomplete)
    for suppression in audit.suppressions:
        what = suppression.rule + (f" {suppression.fingerprint}" if suppression.fingerprint else "")
        matched = "" if suppression.matched else " (matches nothing)"
        yield f"suppressed {what}, {suppression.date}: {escape(suppression.reason)}{matched}"
    yield from (f"measured: {escape(said)}" for said in probe.checks)
    yield f"{looked_at(static)}; {experiments(probe)}"
    if audit.verdict is Verdict.CLEAR:
        yield NO_STATEMENT


def _some(label: str, lines: Iterable[str]) -> Iterator[str]:
    every = list(lines)
    for line in every[:4]:
        yield f"{label}: {_shorten(line)}"
    if len(every) > 4:
        yield f"{label}: {len(every) - 4} more"
