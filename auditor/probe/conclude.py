"""The experiments as the audit sees them: results with what was proved, and what was covered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from auditor.findings import RuleResult, Status
from auditor.options import ProbeOptions
from auditor.probe.across_ranks import Compared, across_ranks, is_worth_it
from auditor.probe.byte_account import Account, byte_account, is_open
from auditor.probe.covered import Covered
from auditor.probe.evidence import write_evidence
from auditor.probe.experiments import Experiments, Session, run_experiments
from auditor.probe.kinds import OF_SCORES, Kind, predicted
from auditor.probe.latent import Ask, Latent, latent_findings
from auditor.probe.merge import merge
from auditor.probe.shrink import Shrunk, shrink
from auditor.report.document import ProbeCoverage

if TYPE_CHECKING:
    from auditor.audited import Audited

_SCORING = "scoring"
"""What an experiment on a submission without any further mechanism exercises."""


def conclude(
    results: tuple[RuleResult, ...], audited: Audited, options: ProbeOptions, ask: Ask
) -> tuple[tuple[RuleResult, ...], Covered]:
    """Run the experiments; the results with what they proved, and what they covered.

    Args:
        results: of the static half.
        audited: the submission.
        options: of the experiments.
        ask: what the rules say of the same submission under other settings.
    """
    traced = [result.rule for result in results if result.status is Status.TRACED]
    left, account = options.budget, None
    if predicted(traced) == {Kind.BYTES}:  # nothing else that experiments are made for: count first
        account = byte_account(audited, options, left)
        left -= account.session.cpu_seconds if isinstance(account, Account) else 0.0
    experiments = run_experiments(audited, replace(options, budget=max(left, 1.0)), traced)
    left -= sum(session.cpu_seconds for session in experiments.sessions)
    smaller = shrink(experiments.failures, audited, options, left)
    experiments = replace(experiments, failures=smaller.failures)
    left -= smaller.cpu_seconds
    measured = any(session.measured for session in experiments.sessions)
    if account is None and measured and left > 0 and is_open(results):
        account = byte_account(audited, options, left)
        left -= account.session.cpu_seconds if isinstance(account, Account) else 0.0
    if isinstance(account, Account) and account.failure is not None:
        failures = (*experiments.failures, (account.failure, account.session))
        experiments = replace(experiments, failures=failures, reason="")
    latent: tuple[Latent, ...] = ()
    if measured and not experiments.failures:
        latent = latent_findings(audited, results, ask, options, left)
    left -= sum(found.session.cpu_seconds for found in latent if found.session is not None)
    ranks: Compared | str | None = None
    if measured and left > 0 and not experiments.failures and is_worth_it(experiments.expected, audited.submission):
        ranks = across_ranks(audited, options, left)
    if isinstance(ranks, Compared) and ranks.failure is not None:
        experiments = replace(experiments, failures=((ranks.failure, ranks.session),), reason="")
    written: list[Path] = []
    if options.evidence is not None:
        written = write_evidence(options.evidence, experiments.failures, audited.submission)
        for found in latent:
            name = f"latent-{found.switch.partition('=')[0].lower()}-"
            written += write_evidence(options.evidence, found.failures, found.submission, name)
    merged = merge(results, experiments, audited.submission)
    traced = [result.rule for result in merged if result.rule in OF_SCORES and result.status is Status.TRACED]
    documented = with_account(covered(experiments, traced, [path.name for path in written]), account)
    documented = with_search(with_ranks(documented, ranks), smaller)
    return merged, with_latent(documented, latent)


def with_search(covered: Covered, smaller: Shrunk) -> Covered:
    """What the experiments covered, with the search for smaller counter-examples."""
    executions = covered.coverage.executions + smaller.executions
    coverage = msgspec.structs.replace(covered.coverage, executions=executions)
    return replace(covered, coverage=coverage, cpu_seconds=covered.cpu_seconds + smaller.cpu_seconds)


def with_ranks(covered: Covered, ranks: Compared | str | None) -> Covered:
    """What the experiments covered, with the one that runs two ranks."""
    if ranks is None:
        return covered
    said = ranks.said if isinstance(ranks, Compared) else f"two ranks were not compared: {ranks}"
    return _with_session(covered, said, ranks.session if isinstance(ranks, Compared) else None)


def with_account(covered: Covered, account: Account | str | None) -> Covered:
    """What the experiments covered, with the one that counts bytes."""
    if account is None:
        return covered
    said = account.said if isinstance(account, Account) else f"bytes were not counted: {account}"
    return _with_session(covered, said, account.session if isinstance(account, Account) else None)


def _with_session(covered: Covered, said: str, session: Session | None) -> Covered:
    """With one more check, and what its session ran."""
    coverage = msgspec.structs.replace(covered.coverage, checks=(*covered.coverage.checks, said))
    if session is None:
        return replace(covered, coverage=coverage)
    coverage = msgspec.structs.replace(coverage, executions=coverage.executions + session.executions)
    return replace(covered, coverage=coverage, cpu_seconds=covered.cpu_seconds + session.cpu_seconds)


def with_latent(documented: Covered, latent: Sequence[Latent]) -> Covered:
    """What the experiments covered, with those on switches that the launch leaves off."""
    sessions = [found.session for found in latent if found.session is not None]
    coverage = msgspec.structs.replace(
        documented.coverage,
        executions=documented.coverage.executions + sum(session.executions for session in sessions),
        latent=tuple(entry for found in latent for entry in found.entries()),
    )
    seconds = documented.cpu_seconds + sum(session.cpu_seconds for session in sessions)
    return replace(documented, coverage=coverage, cpu_seconds=seconds)


def covered(experiments: Experiments, traced: Sequence[str] = (), evidence: Sequence[str] = ()) -> Covered:
    """What the experiments covered.

    Args:
        experiments: what ran.
        traced: rules that are traced and that no experiment proved or refuted.
        evidence: names of the counter-examples that were written.
    """
    measured = [item for session in experiments.sessions for item in session.measured]
    missing = [name for name in experiments.expected if name not in experiments.engaged]
    reason = experiments.reason
    if not reason and not experiments.failures and missing:
        reason = f"not engaged: {', '.join(missing)}"
    if measured and not reason and not experiments.failures and traced:
        reason = f"they did not show what is traced: {', '.join(traced)}"
    coverage = ProbeCoverage(
        ran=bool(measured),
        reason=reason,
        tier=experiments.sessions[0].tier if experiments.sessions else "",
        executions=sum(session.executions for session in experiments.sessions),
        checks=tuple(
            said
            for session in experiments.sessions
            for said in _checks(session, " with small tables" if session.at_load else "")
        ),
        evidence=tuple(evidence),
    )
    engaged = (_SCORING, *experiments.engaged) if measured else ()
    return Covered(coverage, engaged, sum(session.cpu_seconds for session in experiments.sessions))


def _checks(session: Session, settings: str = "") -> Iterator[str]:
    for item in session.measured:
        key = item.place + settings
        worst = max(item.shifts, key=lambda found: found.changed - found.allowed, default=None)
        if worst is not None:
            yield (
                f"{key}: rewriting the tokens from {worst.position} on changed {worst.changed} of {worst.entries} "
                f"scores, at most {worst.allowed} may change"
            )
        most = max((found.candidates for found in item.totals), default=0)
        sums = [found.total for found in item.totals if found.candidates == most]
        if sums:
            yield (
                f"{key}: the probabilities of {most} tokens add up to {min(sums):.3f}..{max(sums):.3f} "
                f"at {len(sums)} position{'s' if len(sums) > 1 else ''}"
            )
