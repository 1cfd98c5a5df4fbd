"""What switches that the submission leaves off would break: dormant code, run once with each of them on.

The static half says which switch matters: with it on, a rule that an experiment can prove finds something that it does
not find under the documented launch. That is never a violation, whatever the experiment shows: nobody claims a score
made with the switch on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auditor.findings import RuleResult, Status
from auditor.options import ProbeOptions
from auditor.probe.experiments import Experiments, Session, run_session
from auditor.probe.failure import Failure, failures_of
from auditor.probe.merge import merge
from auditor.probe.runner import ProbeError
from auditor.probe.settings import setup_for
from auditor.probe.sizes import may_set
from auditor.report.document import LatentEntry
from auditor.sandbox import SandboxUnavailable
from auditor.submission import Submission
from auditor.submission.switches import MECHANISM, code_defaults, effective, switched

if TYPE_CHECKING:
    from auditor.audited import Audited

Ask = Callable[["Audited"], tuple[RuleResult, ...]]
"""What the rules say of a submission."""

_NOT_A_SWITCH = re.compile(
    r".*(?:WARM|START|CHUNK|LEN|LAYERS?|BLOCKS|EPOCHS?|STEPS?|RANK|LORA|FREEZE|DECAY|SEED|_LR|BETA\d|BATCH|QUANT|OUTSIDE|LOG).*"
)
"""Sizes, schedules and places of a mechanism, 0 by default, that switch nothing on."""
_MOST_SWITCHES = 4
_FOUND = frozenset({Status.PROVED, Status.TRACED, Status.SUSPECTED})


_POSITIONS = 2
_LEAST_SECONDS = 5.0
"""CPU seconds without which a server does not even start."""


@dataclass(frozen=True)
class Latent:
    """What one switch would break.

    Attributes:
        switch: the switch as it was set, such as ``TTT_ENABLED=1``.
        submission: the submission with it on.
        results: of the rules that find something then, and nothing as documented.
        session: what ran; None where nothing did.
        failures: conditions that were found broken, each with the session that shows it.
    """

    switch: str
    submission: Submission
    results: tuple[RuleResult, ...]
    session: Session | None = None
    failures: tuple[tuple[Failure, Session], ...] = ()

    def entries(self) -> tuple[LatentEntry, ...]:
        """For the report, one per rule."""
        return tuple(_entry(self.switch, result) for result in self.results)


def _entry(switch: str, result: RuleResult) -> LatentEntry:
    first = next((finding for finding in result.findings if not finding.dormant), None)
    if first is None:
        return LatentEntry(switch, result.rule, result.status, result.reason, "", 0, "")
    return LatentEntry(switch, result.rule, result.status, first.message, first.file, first.line, first.experiment)


def latent_findings(
    audited: Audited, results: tuple[RuleResult, ...], ask: Ask, options: ProbeOptions, budget: float
) -> tuple[Latent, ...]:
    """Switch on, one after another, what the static half says would matter.

    Args:
        audited: the submission.
        results: of the rules under the documented launch.
        ask: asks the rules that an experiment can prove.
        options: of the experiments.
        budget: CPU seconds that are left for all of them.
    """
    switches = tuple(switches_off(audited.submission))[:_MOST_SWITCHES]
    if not switches:
        return ()
    # Without logs it is less sure what is claimed; what a rule finds only for that is not the switch's doing.
    unlogged = ask(replace(audited, submission=replace(audited.submission, logs=())))
    known = {result.rule for result in (*results, *unlogged) if result.status in _FOUND}
    found = []
    for name in switches:
        other = replace(audited, submission=switched(audited.submission, {name: _ON}))
        woken = tuple(result for result in ask(other) if result.status in _FOUND and result.rule not in known)
        if woken:
            found.append(_run(Latent(f"{name}={_ON}", other.submission, woken), other, options, budget))
            session = found[-1].session
            budget -= 0.0 if session is None else session.cpu_seconds
    return tuple(found)


def _run(latent: Latent, audited: Audited, options: ProbeOptions, budget: float) -> Latent:
    """With what an experiment shows, if there is budget for one."""
    if budget < _LEAST_SECONDS:
        return latent
    try:
        session = run_session(audited, setup_for(audited.submission), options, budget, _POSITIONS)
    except (ProbeError, SandboxUnavailable):
        return latent  # a switch that nobody uses need not work
    failures = tuple((failure, session) for item in session.measured for failure in failures_of(item))[:1]
    shown = merge(latent.results, Experiments(sessions=(session,), failures=failures), audited.submission)
    return replace(latent, results=shown, session=session, failures=failures)


_ON = "1"


def switches_off(submission: Submission) -> Iterator[str]:
    """Variables of the environment that look like a mechanism's switch, and that the launch leaves off, sorted."""
    for name in sorted({name for name, _ in code_defaults(submission)}):
        value = effective(submission, name)
        is_switch = MECHANISM.search(name) and not _NOT_A_SWITCH.fullmatch(name) and may_set(name)
        if is_switch and value is not None and not value.is_on:
            yield name
