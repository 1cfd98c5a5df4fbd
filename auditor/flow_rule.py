"""Base of the rules that rest on data flow: from the analysis' evidence to a result."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from auditor.audited import Audited
from auditor.claim import is_about_a_score, is_in_a_claimed_score, is_printed_before, is_withdrawn
from auditor.findings import Finding, RuleResult, Status
from auditor.rule import Rule

if TYPE_CHECKING:
    from auditor.flow import Evidence


_UNDOCUMENTED = "the submission claims it, the code leaves it off, and nothing documents the launch"


class FlowRule(Rule):
    """A rule over the facts that the data-flow analysis found.

    Attributes:
        subject: what the rule speaks of, as it shows in code. Where the analysis is incomplete, a rule whose subject
            does not occur is not applicable, and one whose subject occurs is not analysable.
    """

    subject: ClassVar[re.Pattern[str]]

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """The evidence that breaks the rule."""
        raise NotImplementedError

    def check(self, audited: Audited) -> RuleResult:
        """Traced where a path is complete, suspected where a part was assumed."""
        evidence = [_bearing(audited, item) for item in self.evidence(audited)]
        active = [item for item in evidence if not item.dormant]
        traced = [item for item in active if item.certainty.value == Status.TRACED.value]
        findings = [_finding(item) for item in traced or active]
        findings += [_finding(item) for item in evidence if item.dormant]
        if traced:
            return self.result(Status.TRACED, findings=findings)
        if active:
            return self.result(Status.SUSPECTED, findings=findings)
        return self._as_claimed(audited) or self._nothing_found(audited, findings)

    def _as_claimed(self, audited: Audited) -> RuleResult | None:
        """A suspicion where the submission's words name a mechanism that the undocumented launch may have left off."""
        if audited.claimed is None:
            return None
        evidence = [_bearing(audited.claimed, item) for item in self.evidence(audited.claimed)]
        traced = [item for item in evidence if not item.dormant and item.certainty.value == Status.TRACED.value]
        if not traced:
            return None
        return self.result(Status.SUSPECTED, _UNDOCUMENTED, [_finding(item) for item in traced])

    def _nothing_found(self, audited: Audited, dormant: list[Finding]) -> RuleResult:
        """Clear, if the analysis is complete; else it depends on whether the subject occurs."""
        if audited.unread or not audited.flow.unanalysed:
            return self.unless_unread(audited, self.result(Status.CLEAR, findings=dormant))
        if any(self.subject.search(text) for text in _code(audited)):
            return self.result(Status.NOT_ANALYSABLE, "; ".join(audited.flow.unanalysed[:3]), dormant)
        return self.not_applicable("nothing of the kind occurs in the code")


def _code(audited: Audited) -> Iterator[str]:
    """All code that is reached."""
    submission = audited.submission
    yield from (source.text for source in submission.sources.values())
    yield from (kernel.text for kernel in submission.kernels)


def _bearing(audited: Audited, evidence: Evidence) -> Evidence:
    """Evidence that bears on no claimed score is dormant; evidence on another printed quantity is a suspicion."""
    if is_withdrawn(audited):
        return replace(evidence, dormant=True, message=f"{evidence.message}; the score is retracted")
    if is_printed_before(audited, evidence):
        return replace(evidence, dormant=True, message=f"{evidence.message}; the claimed score was printed before")
    if not is_in_a_claimed_score(audited, evidence):
        return replace(evidence, dormant=True, message=f"{evidence.message}; no claimed score carries it")
    if not is_about_a_score(audited, evidence):
        # Probes and other diagnostics may learn from what they measure; that they do is no score.
        return replace(evidence, certainty=type(evidence.certainty)(Status.SUSPECTED.value))
    return evidence


def _finding(evidence: Evidence) -> Finding:
    return Finding(evidence.message, evidence.file, evidence.line, evidence.path, evidence.dormant)
