"""How a submission's folder is named."""

from __future__ import annotations

import datetime
import re

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Rule, Ruling

_FORM = re.compile(r"(\d{4}-\d{2}-\d{2})[_-]\S")


class FolderName(Rule):
    """The name, where the folder lies in a track."""

    id = "folder-name"
    title = "the folder is not named YYYY-MM-DD_Title"
    condition = Condition.PROCESS
    severity = Severity.FORMAT
    rulings = (Ruling("README", datetime.date(2026, 3, 18), "README", "existing folders carry a date and a title"),)
    what = "A folder of a track whose name does not begin with a date, or that lies in a second records folder."
    why = "The leaderboard and the tools that read it sort by that name."
    legal = "Name it records/TRACK/YYYY-MM-DD_Title."

    def check(self, audited: Audited) -> RuleResult:
        """The folder's own name and what it lies in."""
        parts = audited.submission.root.resolve().parts
        if "records" not in parts[:-1]:
            return self.not_applicable("the folder does not lie in records/")
        found = []
        match = _FORM.match(parts[-1])
        if match is None or not _is_date(match[1]):
            found.append(Finding(f"{parts[-1][:80]!r} does not begin with a date", "", 0))
        if parts.count("records") > 1:
            found.append(Finding("records/ lies inside records/", "", 0))
        return self.judge(found)


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
