"""Base of the rules that rest on data flow: which facts of the analysis each speaks of."""

from __future__ import annotations

from typing import ClassVar

from auditor.audited import Audited
from auditor.findings import RuleResult, Status
from auditor.rule import Rule


class FlowRule(Rule):
    """A rule over the facts that the data-flow analysis found.

    Attributes:
        facts: kinds of facts that break the rule.
    """

    facts: ClassVar[tuple[str, ...]]

    def check(self, audited: Audited) -> RuleResult:
        """Not analysable as long as there is no analysis."""
        return self.result(Status.NOT_ANALYSABLE, "this version has no data-flow analysis")
