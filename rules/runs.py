"""Scripts that cannot run."""

from __future__ import annotations

import datetime

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Example, Rule, Ruling
from auditor.submission import ProblemKind

_BROKEN = {ProblemKind.UNPARSABLE, ProblemKind.EMPTY_ENTRY, ProblemKind.MISSING_ENTRY}


class Runs(Rule):
    """Whether there is a script, and whether it is Python."""

    id = "runs"
    title = "the script cannot run"
    condition = Condition.PROCESS
    severity = Severity.REVIEW
    rulings = (Ruling("README", datetime.date(2026, 3, 18), "README", "the script compiles and runs in its folder"),)
    what = "No script, an empty one, or one that is not Python under any grammar version."
    why = "A score that nobody can reproduce is no record."
    legal = "Run the script from the folder as submitted, once, before opening the pull request."
    bad = (
        Example("prose where the code should be", "This script trains the model — see the README.\n"),
        Example("an empty script", files={"train_gpt.py": ""}),
    )
    good = (
        Example("a script", "print(1)\n"),
        Example("formatted strings of Python 3.12", "name = 'a'\nprint(f'{name + f'{name}'}')\n"),
    )

    def check(self, audited: Audited) -> RuleResult:
        """What reading the scripts complained of."""
        problems = [problem for problem in audited.submission.problems if problem.kind in _BROKEN]
        return self.judge(Finding(problem.message, problem.file, problem.line) for problem in problems)
