"""What the gate leaves behind: reports, SARIF, annotations, a summary and the text of a comment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from auditor.gate.decision import Decision
from auditor.gate.judge import Report
from auditor.report import github, html, markdown, sarif
from auditor.report.document import Audit

MARKER = "<!-- model-golf-referee -->"
"""First line of the comment, by which a later run finds it to edit it in place."""


def write(out: Path, reports: Sequence[Report], decision: Decision) -> None:
    """Write the files into the folder ``out``, which is there.

    ``annotations.txt`` holds workflow commands; everything else is for people and uploads: ``results.sarif``,
    ``comment.md``, and ``report-N.html`` and ``report-N.json`` for each submission, beside its counter-examples.
    """
    for number, report in enumerate(reports, 1):
        (out / f"report-{number}.json").write_bytes(msgspec.json.encode(report.audit))
        (out / f"report-{number}.html").write_text(html.render(report.audit, report.sources), encoding="utf-8")
    audits = audits_of(reports)
    if audits:
        log = sarif.document(audits[0], *audits[1:], placed=True)
        (out / "results.sarif").write_bytes(msgspec.json.format(msgspec.json.encode(log), indent=1))
    (out / "comment.md").write_text(comment(audits, decision), encoding="utf-8")
    (out / "annotations.txt").write_text(workflow_commands(audits, decision), encoding="utf-8")


def audits_of(reports: Sequence[Report]) -> list[Audit]:
    """The reports without their sources."""
    return [report.audit for report in reports]


def comment(audits: Sequence[Audit], decision: Decision) -> str:
    """The text of the comment, within GitHub's limit."""
    blocks = [MARKER, f"**{decision.says}**", *(f"- {markdown.code(line)}" for line in decision.missing[:8])]
    left = markdown.LONGEST - sum(len(block) + 2 for block in blocks)
    for audit in audits:
        text = markdown.render(audit)
        if len(text) > left:
            blocks.append("More is in the uploaded reports.")
            break
        left -= len(text)
        blocks.append(text)
    return "\n\n".join(blocks) + "\n"


def workflow_commands(audits: Sequence[Audit], decision: Decision) -> str:
    """Workflow commands, the decision first."""
    return "".join(_commands(audits, decision))


def _commands(audits: Sequence[Audit], decision: Decision) -> Iterator[str]:
    level = "notice" if not decision.exit else "error"
    yield github.command(level, decision.says, title="audit") + "\n"
    for audit in audits:
        yield github.render(audit)
