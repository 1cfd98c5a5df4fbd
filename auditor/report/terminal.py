"""The report for a terminal: the verdict card, then each finding as a compiler would print it.

Everything that comes from the submission goes through :func:`escape`: a log line must not move the cursor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import click

from auditor.findings import Condition, Severity, Status, Verdict
from auditor.report.document import Audit, FindingEntry, PathStep, Place, RuleEntry, StaticCoverage

_NAMES = {
    Condition.CAUSALITY: "C1 causality",
    Condition.NORMALISATION: "C2 normalisation",
    Condition.SCORE_FIRST: "C3 score before update",
    Condition.SINGLE_PASS: "C4 one pass",
    Condition.BYTES: "bits per byte",
    Condition.TIME: "time",
    Condition.DATA: "data",
    Condition.PROCESS: "size and process",
}
_COLOURS = {
    Status.PROVED: "red",
    Status.TRACED: "red",
    Status.SUSPECTED: "yellow",
    Status.NOT_ANALYSABLE: "yellow",
}
_SAYS = {
    Verdict.VIOLATION: ("VIOLATION", "red"),
    Verdict.NEEDS_REVIEW: ("NEEDS REVIEW", "yellow"),
    Verdict.CLEAR: ("NOTHING FOUND", "green"),
}
_ORDER = list(Status)
_FOUND = (Status.PROVED, Status.TRACED, Status.SUSPECTED)
_MOST_FINDINGS = 5
"""Findings printed per rule; the rest is counted."""
_WIDTH = 110


def render(audit: Audit) -> str:
    """The whole report, styled; click strips the styling where it is not wanted."""
    return "\n".join([*_card(audit), *_details(audit), *_notes(audit), *_footer(audit)]) + "\n"


def escape(text: str) -> str:
    """Untrusted text on one line: control, format and surrogate characters become visible escapes."""
    return "".join(c if c.isprintable() else " " if c == "\t" else ascii(c)[1:-1] for c in text)


def _card(audit: Audit) -> Iterator[str]:
    submission = audit.submission
    says, colour = _SAYS[audit.verdict]
    yield click.style(says, fg=colour, bold=True) + f"  {escape(submission.name)[:80]}"
    about = [escape(submission.author)[:60], f"claims {submission.val_bpb:.4f} bpb" if submission.val_bpb else ""]
    about += [escape(submission.entry), f"as of {audit.as_of}" if audit.as_of else ""]
    yield "  " + ", ".join(part for part in about if part)
    yield ""
    for condition in Condition:
        yield _row(condition, [r for r in audit.rules if condition in (r.condition, *r.also)])
    yield ""


def _row(condition: Condition, rules: Sequence[RuleEntry]) -> str:
    """The strongest status of the rules that decide, and who says so; notes in brackets."""
    deciding = [rule for rule in rules if rule.severity is Severity.VIOLATION]
    status = min((rule.status for rule in deciding), key=_ORDER.index, default=None)
    shown = "not asked" if status is None else "nothing found" if status is Status.CLEAR else status.value
    who = [rule.rule for rule in deciding if rule.status is status] if status in _COLOURS else []
    notes = [rule.rule for rule in rules if rule.severity is not Severity.VIOLATION and rule.status in _FOUND]
    text = ", ".join(who) + (f" (notes: {', '.join(notes)})" if notes else "")
    styled = click.style(f"{shown:<15}", fg="green" if status is None else _COLOURS.get(status, "green"))
    return f"  {_NAMES[condition]:<24}{styled} {text.strip()}".rstrip()


def _details(audit: Audit) -> Iterator[str]:
    undecided: dict[str, list[str]] = {}
    for rule in audit.rules:
        if rule.severity is not Severity.VIOLATION:
            continue
        if rule.status in _FOUND:
            yield from _rule(rule)
        elif rule.status is Status.NOT_ANALYSABLE:
            undecided.setdefault(rule.reason, []).append(rule.rule)
    for reason, names in undecided.items():
        label = click.style(f"not-analysable[{', '.join(names)}]", fg=_COLOURS[Status.NOT_ANALYSABLE], bold=True)
        yield f"{label}: {escape(reason)}"
        yield ""


def _rule(rule: RuleEntry) -> Iterator[str]:
    active = [finding for finding in rule.findings if not finding.dormant]
    for position, finding in enumerate(active[:_MOST_FINDINGS]):
        last = position == len(active[:_MOST_FINDINGS]) - 1
        yield from _finding(rule, finding, explain=last)
        if not last:
            yield ""
    if len(active) > _MOST_FINDINGS:
        yield f"  ... and {len(active) - _MOST_FINDINGS} more like these"
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
    if finding.known:
        yield f"{tail} known: in the baseline"
    if rule.suppressed is not None:
        yield f"{tail} suppressed: {escape(rule.suppressed)}"
    if explain:
        yield f"{tail} why: {rule.why}"
        yield f"{tail} instead: {rule.legal}"
        yield f"{tail} more: audit explain {rule.rule}"


def _excerpt(place: Place, gutter: int) -> Iterator[str]:
    yield f"{'':{gutter}}--> {_where(place)}"
    yield f"{'':{gutter}} |"
    text = _shorten(place.text)
    yield f"{place.line:>{gutter}} | {text}"
    yield f"{'':{gutter}} | {click.style('^' * max(len(text), 1), fg='red')}"


def _path(path: Sequence[PathStep], gutter: int) -> Iterator[str]:
    """Numbered steps; the file's name once for each run of steps in it."""
    file = None
    for number, step in enumerate(path, 1):
        if step.file != file:
            yield f"{'':{gutter}}--> {_where(step)}"
            yield f"{'':{gutter}} |"
            file = step.file
        text = _shorten(step.text)
        yield f"{step.line:>{gutter}} | {text}"
        mark = click.style("^" * max(min(len(text), 40), 1), fg="red")
        yield f"{'':{gutter}} | {mark} {number}. {escape(step.why)}"


def _where(place: Place) -> str:
    if (place.shipped_file, place.shipped_line) == (place.file, place.line):
        return f"{escape(place.file)}:{place.line}"
    return f"{escape(place.file)}:{place.line} (packed in {escape(place.shipped_file)}:{place.shipped_line})"


def _shorten(text: str) -> str:
    line = escape(text)
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _notes(audit: Audit) -> Iterator[str]:
    """Rules that do not decide, one line each."""
    notes = [rule for rule in audit.rules if rule.severity is not Severity.VIOLATION and rule.status in _FOUND]
    if notes:
        yield click.style("notes", bold=True) + " (never decide)"
    for rule in notes:
        for finding in [finding for finding in rule.findings if not finding.dormant][:2]:
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
    if notes or dormant:
        yield ""


def _footer(audit: Audit) -> Iterator[str]:
    static, probe = audit.coverage.static, audit.coverage.probe
    yield from _some("not read", static.unread)
    yield from _some("not followed", static.incomplete)
    for suppression in audit.suppressions:
        what = suppression.rule + (f" {suppression.fingerprint}" if suppression.fingerprint else "")
        matched = "" if suppression.matched else " (matches nothing)"
        yield f"suppressed {what}, {suppression.date}: {escape(suppression.reason)}{matched}"
    yield _looked_at(static) + ("; experiments ran" if probe.ran else f"; no experiments: {probe.reason}")
    if audit.verdict is Verdict.CLEAR:
        yield "Nothing found is not a statement that the submission is legal."


def _looked_at(static: StaticCoverage) -> str:
    counts = ((static.rules, "rule"), (static.sources, "script"), (static.kernels, "kernel"), (static.logs, "log"))
    return "looked at: " + ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in counts)


def _some(label: str, lines: Iterable[str]) -> Iterator[str]:
    every = list(lines)
    for line in every[:4]:
        yield f"{label}: {_shorten(line)}"
    if len(every) > 4:
        yield f"{label}: {len(every) - 4} more"
