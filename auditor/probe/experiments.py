"""The fixed plan of experiments on one submission, the cheapest proof first, and what came out of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor.claim import claimed_labels
from auditor.options import ProbeOptions
from auditor.probe.design import Change, Design, call_changes, main_changes, make_design
from auditor.probe.engagement import engaged_mechanisms, expected_mechanisms
from auditor.probe.failure import Failure, failures_of
from auditor.probe.kinds import Kind
from auditor.probe.measure import ENDED, Measured, measure
from auditor.probe.plan import Setup
from auditor.probe.record import ProbeRun, Recording
from auditor.probe.runner import ProbeError, run_probe
from auditor.probe.settings import setup_for
from auditor.sandbox import SandboxUnavailable

if TYPE_CHECKING:
    from auditor.audited import Audited

_FIRST = 0.7
"""Share of the budget for the documented settings; the rest is for small tables."""
_MOST_LOADS = 3
"""Loads of the stream that are tried as the place to fork a scorer which is part of ``main``."""


@dataclass(frozen=True)
class Session:
    """What one server ran: the set-up, and the scorers that could be measured.

    Attributes:
        setup: how the submission was run.
        design: the streams.
        main: the whole run, or why it could not be measured.
        call: the forked scorer that made the final score, or why there is none.
        executions: runs of the submission's code, forked calls included.
        cpu_seconds: of everything.
        tier: isolation.
        problems: what could not be done.
    """

    setup: Setup
    design: Design
    main: Measured | str
    call: Measured | str
    executions: int
    cpu_seconds: float
    tier: str
    problems: tuple[str, ...] = ()

    @property
    def measured(self) -> tuple[Measured, ...]:
        """The scorers that were measured."""
        return tuple(item for item in (self.main, self.call) if isinstance(item, Measured))


@dataclass(frozen=True)
class Experiments:
    """What the experiments said.

    Attributes:
        reason: why nothing can be concluded; empty when something can.
        sessions: what ran, the documented settings first.
        failures: broken conditions, each with the session that shows it.
        expected: mechanisms that the submission is about.
        engaged: those that were seen to run.
    """

    reason: str = ""
    sessions: tuple[Session, ...] = ()
    failures: tuple[tuple[Failure, Session], ...] = ()
    expected: tuple[str, ...] = ()
    engaged: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Nothing broke, every check could be made, and what the submission is about was seen to run."""
        return not (self.reason or self.failures) and set(self.expected) <= set(self.engaged)


def run_experiments(audited: Audited, options: ProbeOptions) -> Experiments:
    """Run the plan; whatever goes wrong becomes a reason, never a pass."""
    try:
        return _run(audited, options)
    except SandboxUnavailable as error:
        return Experiments(str(error))
    except ProbeError as error:
        return Experiments(f"the experiments broke off: {error}")


def _run(audited: Audited, options: ProbeOptions) -> Experiments:
    expected = expected_mechanisms(audited)
    setup = setup_for(audited.submission)
    first = run_session(audited, setup, options, _FIRST * options.budget)
    sessions, failures = [first], [(failure, first) for item in first.measured for failure in failures_of(item)]
    small = setup_for(audited.submission, stress=True)
    shrunk = _shrunk(setup, small)
    left = options.budget - first.cpu_seconds
    if first.measured and not failures and shrunk and left > 0:
        second = run_session(audited, small, options, left)
        sessions.append(second)
        failures = [
            (failure, second)
            for item in second.measured
            for failure in failures_of(item, shrunk)
            if failure.kind is Kind.EXCESS
        ]
    return Experiments(
        reason="" if failures else _inconclusive(first),
        sessions=tuple(sessions),
        failures=_distinct(failures),
        expected=expected,
        engaged=engaged_mechanisms(expected, [item for session in sessions for item in session.measured]),
    )


def _shrunk(usual: Setup, small: Setup) -> tuple[str, ...]:
    """What the set-up with small tables changes: literals and settings, as a reader would write them."""
    literals = [f"{item.before} -> {item.after}" for item in small.altered if item not in usual.altered]
    settings = [
        f"{name}={value}" for name, value in sorted(small.environment.items()) if usual.environment.get(name) != value
    ]
    return tuple(dict.fromkeys([*settings, *literals]))


def run_session(audited: Audited, setup: Setup, options: ProbeOptions, budget: float) -> Session:
    """Run the whole plan under one set-up; scorers that are part of ``main`` are forked where it loads the stream."""
    design = make_design(setup.vocabulary, setup.sequence)
    labels = claimed_labels(audited)
    full, forked = main_changes(design), call_changes(design)
    run = _probe(audited, setup, options, design, full, forked, budget)
    main = measure(dict(zip(full, run.full, strict=False)), design, labels)
    call = _final_call(run, forked, design, main, labels)
    executions = len(run.full) + sum(len(each.recordings) for each in run.calls)
    cpu, problems = run.cpu_seconds, run.problems
    load = 1
    while isinstance(main, Measured) and isinstance(call, str) and load <= _MOST_LOADS and cpu < budget:
        again = _probe(audited, setup, options, design, full[:1], forked, budget - cpu, load)
        call = _final_call(again, forked, design, main, labels)
        executions += len(again.full) + sum(len(each.recordings) for each in again.calls)
        cpu, load = cpu + again.cpu_seconds, load + 1
    return Session(setup, design, main, call, executions, cpu, run.tier, problems)


def _probe(
    audited: Audited,
    setup: Setup,
    options: ProbeOptions,
    design: Design,
    full: Sequence[Change],
    forked: Sequence[Change],
    budget: float,
    load: int | None = None,
) -> ProbeRun:
    return run_probe(
        audited.submission,
        setup,
        full=[design.variant(change) for change in full],
        forked=[design.stream(change) for change in forked],
        budget=budget,
        python=options.python,
        fork_at_load=load,
    )


def _final_call(
    run: ProbeRun, changes: Sequence[Change], design: Design, main: Measured | str, labels: frozenset[str]
) -> Measured | str:
    """The forked call that made the final score: it must give the very number that the whole run printed."""
    if isinstance(main, str):
        return main
    said: Measured | str = "no call of a function with the validation stream returned the final score"
    for call in run.calls:
        recordings: Mapping[Change, Recording] = {
            change: recording
            for change, recording in zip(changes, call.recordings, strict=False)
            if recording.status in ENDED
        }
        found = measure(recordings, design, labels) if recordings else said
        if isinstance(found, Measured) and abs(found.score - main.score) <= 2 * main.match.claim.tolerance:
            said = found
    return said


def _inconclusive(session: Session) -> str:
    """Why the documented run allows no conclusion; empty when it does."""
    if isinstance(session.main, str):
        return session.main
    if not session.main.deterministic:
        return "two runs on the same stream give different scores"
    if not session.main.shifts:
        return "changed streams change the shape of the scores"
    if isinstance(session.call, str):
        return f"probabilities could not be summed up: {session.call}"
    if not session.call.totals:
        return "the scorer has no score of its own for any tested token"
    return ""


def _distinct(failures: Sequence[tuple[Failure, Session]]) -> tuple[tuple[Failure, Session], ...]:
    """One failure of each kind; training before the artifact explains every later leak."""
    kinds: dict[Kind, tuple[Failure, Session]] = {}
    for failure, session in failures:
        kinds.setdefault(failure.kind, (failure, session))
    if Kind.TRAINED in kinds:
        kinds.pop(Kind.LEAK, None)
    return tuple(kinds.values())
