"""Pull requests that touch more than their own folder."""

from __future__ import annotations

import datetime
from pathlib import PurePosixPath

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Rule, Ruling

_SHOWN = 10


class OneNewFolder(Rule):
    """The pull request's changes, where the caller knows them; a bare folder does not say."""

    id = "one-new-folder"
    title = "the pull request changes more than one new folder"
    condition = Condition.PROCESS
    severity = Severity.FORMAT
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "a pull request only adds one folder to a track"),
        Ruling("#1143", datetime.date(2026, 4, 23), "cocohearts", "other changes do not belong into a submission"),
    )
    what = "Adding files outside one records folder, or changing and deleting files that were there."
    why = "Long-lived forks bring other people's records along, and a reviewer must tell them apart."
    legal = "Branch from main and add one folder."

    def check(self, audited: Audited) -> RuleResult:
        """Every change outside the folder, and every one that is no addition."""
        if audited.changes is None:
            return self.not_applicable("a bare folder does not say what else the pull request changes")
        home = PurePosixPath(audited.folder)
        found = [
            Finding(f"{kind} {path}", path, 0)
            for kind, path in audited.changes
            if kind != "A" or home not in PurePosixPath(path).parents
        ]
        return self.judge(found[:_SHOWN], facts={"changes": len(found)})
