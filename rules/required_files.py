"""The files that a submission's folder must hold."""

from __future__ import annotations

import datetime
from fnmatch import fnmatch
from pathlib import PurePosixPath

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Example, Rule, Ruling
from rules._logs import log, metadata

_COMPLETE = {"README.md": "# A model\n", "submission.json": metadata(), "train.log": log()}


class RequiredFiles(Rule):
    """Names in the folder against the contest's list."""

    id = "required-files"
    title = "a required file is missing"
    condition = Condition.PROCESS
    severity = Severity.FORMAT
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "README.md, submission.json, a train log, train_gpt.py"),
    )
    what = "A folder without README.md, submission.json, a train log or train_gpt.py."
    why = "Without them nobody can check or reproduce the claim."
    legal = "Put all four into the one folder."
    bad = (
        Example("no log", "print(1)\n", {k: v for k, v in _COMPLETE.items() if k != "train.log"}),
        Example("no script of that name", files={**_COMPLETE, "main.py": "print(1)\n"}),
    )
    good = (Example("all four", "print(1)\n", _COMPLETE),)

    def check(self, audited: Audited) -> RuleResult:
        """One finding for each role that no file fills."""
        names = [PurePosixPath(name).name for name in audited.submission.files]
        found = [
            Finding(f"no {required.what} ({' or '.join(required.patterns)})", "", 0)
            for required in audited.contest.required_files
            if not any(fnmatch(name, pattern) for name in names for pattern in required.patterns)
        ]
        return self.judge(found)
