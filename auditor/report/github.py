"""GitHub's workflow commands: annotations on the lines of a pull request.

GitHub shows ten errors, ten warnings and ten notices of one step, so the weightiest come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from auditor.findings import Severity, Status
from auditor.report.card import FOUND, active, escape
from auditor.report.document import Audit, FindingEntry, RuleEntry

MOST = 10
"""Annotations of one level that GitHub shows of a step."""
_LEVELS = ("error", "warning", "notice")


def render(audit: Audit, folder: str | None = None) -> str:
    """One command per line.

    Args:
        audit: the report.
        folder: the submission's path in the repository; None for the path that was audited.
    """
    home = PurePosixPath(audit.submission.path if folder is None else folder)
    commands = [command for rule in audit.rules for command in _commands(rule, home)]
    kept = [line for level in _LEVELS for line in [text for at, text in commands if at == level][:MOST]]
    return "".join(line + "\n" for line in kept)


def command(level: str, message: str, **properties: str | int) -> str:
    """A workflow command; nothing in its parts can end it or begin another one."""
    written = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items() if value != "")
    return f"::{level} {written}::{_data(message)}"


def _commands(rule: RuleEntry, home: PurePosixPath) -> Iterator[tuple[str, str]]:
    level = _level(rule)
    if level is None:
        return
    if rule.status is Status.NOT_ANALYSABLE:
        yield level, command(level, f"not analysable: {escape(rule.reason)}", title=rule.rule)
    for finding in active(rule) if rule.status in FOUND else ():
        yield level, _annotation(level, rule, finding, home)


def _level(rule: RuleEntry) -> str | None:
    if rule.suppressed is not None or rule.status in {Status.CLEAR, Status.NOT_APPLICABLE}:
        return None
    if not rule.decides:
        noted = rule.status in FOUND and rule.severity is not Severity.VIOLATION
        return "notice" if noted else None
    return "error" if rule.status in {Status.PROVED, Status.TRACED} else "warning"


def _annotation(level: str, rule: RuleEntry, finding: FindingEntry, home: PurePosixPath) -> str:
    message = escape(finding.sentence) + "".join(
        f"\n{number}. {escape(step.file)}:{step.line}: {escape(step.why)}"
        for number, step in enumerate(finding.path, 1)
    )
    title = f"{rule.rule} ({rule.status.value})"
    if not finding.shipped_file:
        return command(level, message, title=title)
    file = escape(str(home / finding.shipped_file))
    return command(level, message, file=file, line=finding.shipped_line or 1, title=title)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
