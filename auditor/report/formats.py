"""The formats of a report by name. Imports nothing heavy: the command line lists them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditor.report.document import Audit
    from auditor.submission import Submission

FORMATS = ("terminal", "json", "sarif", "junit", "markdown", "github", "html")


def terminal(audit: Audit) -> str:
    """The report for a terminal, with colours."""
    from auditor.report import terminal

    return terminal.render(audit)


def render(audit: Audit, style: str) -> bytes:  # noqa: PLR0911 - one format after another
    """The report in one of :data:`FORMATS`, as the bytes of a file."""
    if style == "terminal":
        import click

        return click.unstyle(terminal(audit)).encode()
    if style == "sarif":
        from auditor.report import sarif

        return sarif.render(audit)
    if style == "junit":
        from auditor.report import junit

        return junit.render(audit)
    if style == "markdown":
        from auditor.report import markdown

        return markdown.render(audit).encode()
    if style == "github":
        from auditor.report import github

        return github.render(audit).encode()
    if style == "html":
        from auditor.report import html

        return html.render(audit, _sources(Path(audit.submission.path))).encode()
    import msgspec

    return msgspec.json.format(msgspec.json.encode(audit), indent=1) + b"\n"


def source_lines(submission: Submission) -> dict[str, tuple[str, ...]]:
    """Lines of the analysed code by name, for the formats that show more than the evidence's own lines."""
    files = (kernel for kernel in submission.kernels if kernel.name in submission.files)
    kernels = {kernel.name: tuple(kernel.text.splitlines()) for kernel in files}
    return kernels | {name: source.lines for name, source in submission.sources.items()}


def _sources(folder: Path) -> dict[str, tuple[str, ...]]:
    """Of a folder that is gone, none."""
    from auditor.submission import UnreadableSubmissionError, read_submission

    try:
        return source_lines(read_submission(folder))
    except UnreadableSubmissionError:
        return {}
