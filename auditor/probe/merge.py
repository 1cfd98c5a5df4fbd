"""Static and dynamic half in one verdict.

A failed experiment proves the rule whose path it agrees with, or else the rule for that kind of failure. Sums that
exceed one only with small tables, or at one position only, prove nothing without a path: they are a suspicion. A
traced path of learned state that the experiments refute while the mechanism runs becomes a suspicion with both facts.
Whatever the experiments could not do leaves a rule as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from auditor.findings import Finding, RuleResult, Status
from auditor.probe.engagement import ENGAGED
from auditor.probe.experiments import Experiments, Session
from auditor.probe.failure import Failure
from auditor.probe.kinds import BYTE_MIXTURE, EXPERIMENT_ONLY, FALLBACK, RULES, Kind
from auditor.probe.record import Site

if TYPE_CHECKING:
    from auditor.submission import Submission

_REFUTABLE = frozenset({"ttt-before-score", "ttt-rescore-epochs"})
"""State carried from token to token: where it is seen to reach later scores and no earlier one, no path leads back."""

_PACKED = "<packed>"


def merge(results: Sequence[RuleResult], experiments: Experiments, submission: Submission) -> tuple[RuleResult, ...]:
    """The rules' results with what the experiments showed.

    Args:
        results: of the static half, one per rule.
        experiments: what ran.
        submission: for the places of findings.
    """
    merged = {result.rule: result for result in results}
    for failure, session in experiments.failures:
        rule = _rule_for(failure, merged)
        if rule is not None:
            merged[rule] = _with_failure(merged[rule], failure, session, submission)
    if not experiments.failures:
        for session in experiments.sessions:
            merged |= {rule: _refuted(result, session) for rule, result in merged.items() if rule in _REFUTABLE}
        if experiments.passed and "causal-dependence" in merged:
            result = merged["causal-dependence"]
            if result.status is Status.NOT_APPLICABLE and result.reason == EXPERIMENT_ONLY:
                merged[result.rule] = replace(result, status=Status.CLEAR, reason="")
    return tuple(merged[result.rule] for result in results)


def _rule_for(failure: Failure, results: dict[str, RuleResult]) -> str | None:
    """The rule whose static path agrees, the strongest first; else the one for the kind of failure, if it was asked."""
    asked = [rule for rule in RULES[failure.kind] if rule in results]
    if failure.is_bytewise:
        asked.sort(key=lambda rule: rule != BYTE_MIXTURE)
    for status in (Status.TRACED, Status.SUSPECTED):
        for rule in asked:
            if results[rule].status is status:
                return rule
    fallback = results.get(FALLBACK[failure.kind])
    late = fallback is not None and fallback.status is Status.NOT_APPLICABLE and "ruling is of" in fallback.reason
    return None if fallback is None or late else fallback.rule


def _with_failure(result: RuleResult, failure: Failure, session: Session, submission: Submission) -> RuleResult:
    agrees = result.status in {Status.TRACED, Status.SUSPECTED}
    active = [finding for finding in result.findings if not finding.dormant]
    dormant = tuple(finding for finding in result.findings if finding.dormant)
    if dormant and not active and not session.is_of_the_claim:
        # Both halves say so: the path is no part of the claim, and the score that moved is not the claimed one.
        first, *rest = dormant
        return replace(result, findings=(replace(first, experiment=failure.said), *rest))
    # What is no part of the claim, by the static half, may be what the experiments ran into.
    certain = failure.is_certain and session.is_of_the_claim and (bool(active) or not dormant)
    status = Status.PROVED if certain or result.status is Status.TRACED else Status.SUSPECTED
    if agrees and active:
        first, *rest = active
        findings = (replace(first, experiment=failure.said), *rest)
    else:
        file, line = locate(failure.entrance or failure.site, submission)
        message = f"{failure.kind}; {_where(failure)}"
        findings = (Finding(message, file, line, experiment=failure.said), *active)
    facts = {**result.facts, "experiment": _facts(failure, session)}
    return replace(result, status=status, reason="", findings=(*findings, *dormant), facts=facts)


def _where(failure: Failure) -> str:
    """The function to look at, where no static path names one."""
    if failure.entrance is not None:
        return f"the numbers that the last token first moved and may not are in {failure.entrance.function}()"
    what = "scores" if failure.kind is Kind.BYTES else "scores that moved"
    return f"the {what} are summed up in {failure.site.function}()"


def _facts(failure: Failure, session: Session) -> dict[str, Any]:
    return {
        "kind": failure.kind.name.lower(),
        "through": failure.key,
        "position": failure.position,
        **failure.expected,
        "executions": session.executions,
        "at_load": list(failure.at_load),
    }


def _refuted(result: RuleResult, session: Session) -> RuleResult:
    """A traced path of learned state against a run in which that state was at work and nothing moved too early."""
    main = session.main
    # State that starts anew in each document shows in the forked scorer only.
    ran = any(item.carried > ENGAGED for item in session.measured)
    engaged = not isinstance(main, str) and main.deterministic and ran and bool(main.shifts)
    if result.status is not Status.TRACED or isinstance(main, str) or not engaged or main.leaks:
        return result
    worst = max(main.shifts, key=lambda item: item.changed - item.allowed)
    said = (
        f"did not confirm it: the adaptation ran, and changing the tokens from {worst.position} on changed "
        f"{worst.changed} scores, as many as an honest scorer may ({worst.allowed})"
    )
    findings = tuple(finding if finding.dormant else replace(finding, experiment=said) for finding in result.findings)
    return replace(result, status=Status.SUSPECTED, findings=findings)


def locate(site: Site, submission: Submission) -> tuple[str, int]:
    """A recorded place as a file of the submission and a line of it."""
    names = list(submission.sources)
    if site.file == _PACKED:
        packed = [name for name in names if "!" in name]
        return (packed[-1], site.line) if packed else (submission.entry.name if submission.entry else "", 0)
    found = [name for name in names if name.rpartition("/")[2] == site.file]
    return (found[0], site.line) if found else (site.file, site.line)
