"""The report as one self-contained HTML page: no script, no network, everything escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from auditor.report import page
from auditor.report.document import Audit

_MOST_FINDINGS = 8


def render(audit: Audit, sources: Mapping[str, Sequence[str]] | None = None) -> str:
    """The page.

    Args:
        audit: the report; its texts are untrusted.
        sources: lines of the analysed scripts by name; without them only the evidence's own lines are shown.
    """
    template = page.environment().get_template("report.html")
    # Markup: the style sheet is ours.
    return template.render(style=Markup(page.style()), **page.context(audit, sources or {}, _MOST_FINDINGS))  # noqa: S704
