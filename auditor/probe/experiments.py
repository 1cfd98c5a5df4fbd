"""The fixed plan of experiments on one submission, the cheapest proof first, and what came out of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auditor.options import ProbeOptions
from auditor.probe.design import (
    Change,
    Design,
    call_changes,
    further_changes,
    leak_changes,
    make_design,
    order_change,
    single_change,
)
from auditor.probe.engagement import engaged_mechanisms, expected_mechanisms
from auditor.probe.failure import Failure, failures_of
from auditor.probe.kinds import BYTE_MIXTURE, Kind, predicted
from auditor.probe.measure import Measured, measure
from auditor.probe.plan import BEHIND_ARTIFACT, Setup
from auditor.probe.record import ENDED, ForkedCall, Recording
from auditor.probe.runner import ProbeError, run_probe
from auditor.probe.settings import setup_for
from auditor.sandbox import SandboxUnavailable
from auditor.score_names import score_labels

if TYPE_CHECKING:
    from auditor.audited import Audited

_FIRST = 0.7
"""Share of the budget for the documented settings; the rest is for small tables."""
_HINTS = "hint-gated-by-target"
_MIDDLE, _LAST = 0, 1
"""Places among the tested positions: in the third window, and the last token.

Of a traced byte mixture the last token is tested first: a word begins there, so what a model of bytes expects is two
tokens, one the beginning of the other.
"""
_SPECIAL = 3
"""Tokens that a sum may lack: the marks of documents and of what is unknown."""
_PLACES = (BEHIND_ARTIFACT, 1, 2, 3)
"""Loads of the stream that are tried as the place to fork a scorer which is part of ``main``."""
_FEW = 2
"""Tested positions where the others would cost too much: at a load each run goes through all that follows it, and
where tables can be made smaller most of what is to be found is found then."""


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
        at_load: what was made smaller so that hash tables are as full as in the official run.
        labels: of the lines that print the claimed score.
    """

    setup: Setup
    design: Design
    main: Measured | str
    call: Measured | str
    executions: int
    cpu_seconds: float
    tier: str
    problems: tuple[str, ...] = ()
    at_load: tuple[str, ...] = ()
    labels: frozenset[str] = frozenset()

    @property
    def is_of_the_claim(self) -> bool:
        """Whether the score bears the claimed one's label, where that is known: the last one printed is another."""
        label = self.main.match.claim.label if isinstance(self.main, Measured) else ""
        return not (label and self.labels) or any(known and known in label for known in self.labels)

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


def run_experiments(audited: Audited, options: ProbeOptions, traced: Collection[str] = ()) -> Experiments:
    """Run the plan; whatever goes wrong becomes a reason, never a pass.

    Args:
        audited: the submission.
        options: of the experiments.
        traced: rules that the static half traced: what they predict is tried first.
    """
    try:
        return _run(audited, options, frozenset(traced))
    except SandboxUnavailable as error:
        return Experiments(str(error))
    except ProbeError as error:
        return Experiments(f"the experiments broke off: {error}")


def _run(audited: Audited, options: ProbeOptions, traced: frozenset[str]) -> Experiments:
    expected = expected_mechanisms(audited)
    foreseen = predicted(traced)
    plan = _Plan(audited, options, setup_for(audited.submission), setup_for(audited.submission, stress=True))
    if foreseen == {Kind.EXCESS}:
        if _HINTS in traced:  # often made of the whole stream before a scorer is called
            plan.sum_at(_MIDDLE, BEHIND_ARTIFACT)
        if not any(isinstance(session.call, Measured) for session in plan.sessions):
            plan.sum_at(_LAST if BYTE_MIXTURE in traced else _MIDDLE)
    if not plan.failures:
        plan.run_whole()
        if Kind.EXCESS in foreseen and plan.failures:  # a leak: only the last token's sum is evidence then
            plan.sum_at(_LAST)
    return Experiments(
        reason="" if plan.failures else _inconclusive(*plan.conclusive),
        sessions=tuple(plan.sessions),
        failures=_distinct(plan.failures),
        expected=expected,
        engaged=engaged_mechanisms(expected, [item for session in plan.sessions for item in session.measured]),
    )


class _Plan:
    """What has run so far, and what is to run next."""

    def __init__(self, audited: Audited, options: ProbeOptions, setup: Setup, small: Setup) -> None:
        self._audited, self._options, self._setup, self._small = audited, options, setup, small
        self._shrunk = _shrunk(setup, small)
        self._left = options.budget
        self.sessions: list[Session] = []
        self.failures: list[tuple[Failure, Session]] = []
        self.conclusive: tuple[Session, ...] = ()

    def sum_at(self, place: int, load: int | None = None) -> None:
        """Sum up probabilities at one place, where the static half expects them to exceed one."""
        session = run_sums(self._audited, self._setup, self._options, self._left, (place,), load)
        self._add(session, {Kind.EXCESS, Kind.LEAK})
        if self._shrunk and self._left > 0 and Kind.EXCESS not in {failure.kind for failure, _ in self.failures}:
            self._sum_small((place,))

    def run_whole(self) -> None:
        """The documented settings, then small tables where they can be made smaller."""
        share, positions = (_FIRST, _FEW) if self._shrunk else (1.0, None)
        first = run_session(self._audited, self._setup, self._options, share * self._left, positions)
        self._add(first, set(Kind))
        self.conclusive = (first,)
        if first.measured and not self.failures and self._shrunk and self._left > 0:
            self._sum_small(None)
            self.conclusive = (first, self.sessions[-1])

    def _sum_small(self, places: Sequence[int] | None) -> None:
        loads = [session.call.load for session in self.sessions if isinstance(session.call, Measured)]
        load = next((load for load in reversed(loads) if load is not None), None)
        session = run_sums(self._audited, self._small, self._options, self._left, places, load)
        self._add(replace(session, at_load=self._shrunk), {Kind.EXCESS})

    def _add(self, session: Session, kinds: Collection[Kind]) -> None:
        self._left -= session.cpu_seconds
        self.sessions.append(session)
        found = (failure for item in session.measured for failure in failures_of(item, session.at_load))
        self.failures += [(failure, session) for failure in found if failure.kind in kinds]


def _shrunk(usual: Setup, small: Setup) -> tuple[str, ...]:
    """What the set-up with small tables changes: literals and settings, as a reader would write them."""
    literals = [f"{item.before} -> {item.after}" for item in small.altered if item not in usual.altered]
    settings = [
        f"{name}={value}" for name, value in sorted(small.environment.items()) if usual.environment.get(name) != value
    ]
    return tuple(dict.fromkeys([*settings, *literals]))


def run_session(
    audited: Audited, setup: Setup, options: ProbeOptions, budget: float, positions: int | None = None
) -> Session:
    """Run the plan under one set-up, at the first ``positions`` (None for all), and stop where it is decided.

    Runs through the whole ``main`` come first. Only where they end and show no leak is a scorer forked: among the calls
    of the run that repeats the first, or, when it is part of ``main``, where that loads the stream.
    """
    design, labels = make_design(setup.vocabulary, setup.sequence), score_labels(audited)
    runner = _Runner(audited, setup, options, design, budget, labels)
    first = leak_changes(design)
    changes = call_changes(design, design.positions[:positions])
    recordings = runner.whole((*first, *further_changes(design)), changes, fork_in=len(first) - 1)
    main = measure(recordings, design, labels)
    if isinstance(main, Measured) and main.leaks and all(found.position < found.targets for found in main.leaks):
        main = measure(runner.whole((Change("base"), single_change(design))) | recordings, design, labels)
    if isinstance(main, Measured) and main.reordered:
        main = measure(runner.whole((Change("base"), order_change(design))) | recordings, design, labels)
    if isinstance(main, str):
        return runner.session(main, main)
    if main.leaks or not main.deterministic:
        return runner.session(main, "the whole run has already decided")
    return runner.session(main, _sums(runner, changes, design, main, labels))


def run_sums(
    audited: Audited,
    setup: Setup,
    options: ProbeOptions,
    budget: float,
    places: Sequence[int] | None = None,
    load: int | None = None,
    design: Design | None = None,
) -> Session:
    """Sum up probabilities at some of the tested positions: at ``places`` among them, None for all.

    Whether the scores leak is seen in the forked scorer only, which is forked where the stream is loaded for the
    ``load``-th time, if that is known to be the place. ``design`` has other streams than the usual ones.
    """
    design, labels = design or make_design(setup.vocabulary, setup.sequence), score_labels(audited)
    runner = _Runner(audited, setup, options, design, budget, labels)
    tested = design.positions if places is None else [design.positions[place] for place in places]
    changes = call_changes(design, tested)
    base = (Change("base"), Change("repeat"))
    if load is not None:
        main = measure(runner.whole(base), design, labels)
        return runner.session(main, _sums(runner, changes, design, main, labels, (load,)))
    main = measure(runner.whole(base, changes, fork_in=1), design, labels)
    loads = _PLACES if places is None else ()  # the whole plan tries them, where it comes to that
    return runner.session(main, _sums(runner, changes, design, main, labels, loads))


def _sums(
    runner: _Runner,
    changes: Sequence[Change],
    design: Design,
    main: Measured | str,
    labels: frozenset[str],
    loads: Sequence[int] = _PLACES,
) -> Measured | str:
    """The forked scorer, among the calls that ran, else at one of the places where the stream is loaded."""
    if isinstance(main, str):
        return main
    call = _whole_mechanism(_final_call(runner.calls, changes, design, main, labels), main)
    tested = {change.position for change in changes if change.kind == "substitute"}
    few = call_changes(design, [position for position in design.positions if position in tested][:_FEW])
    for load in loads:
        if isinstance(call, Measured) or runner.left <= 0:
            break
        runner.whole((Change("base"),), few, load)
        call = _whole_mechanism(_final_call(runner.calls, few, design, main, labels), main)
    return call


def _whole_mechanism(call: Measured | str, main: Measured) -> Measured | str:
    """The forked call, unless rewritten tokens move the scores of the whole run otherwise than those of the call.

    Hints for the whole stream may be made before it is scored; a call that is forked behind that says nothing of them.
    """
    if isinstance(call, str) or call.effect is None or main.effect is None:
        return call
    if abs(call.effect - main.effect) > _SAME_EFFECT:
        return "something that the scores depend on is made of the stream before the scorer is called"
    return call


_SAME_EFFECT = 1e-5
"""Nats per token; the two are the same computation from the same state."""


class _Runner:
    """Runs of one submission under one set-up, and what they have cost so far."""

    def __init__(
        self,
        audited: Audited,
        setup: Setup,
        options: ProbeOptions,
        design: Design,
        budget: float,
        labels: frozenset[str],
    ) -> None:
        self._audited, self._setup, self._options, self._design = audited, setup, options, design
        self._labels = labels
        self.left = budget
        self.calls: tuple[ForkedCall, ...] = ()
        self._executions = 0
        self._cpu_seconds = 0.0
        self._tier = ""
        self._problems: list[str] = []

    def whole(
        self,
        full: Sequence[Change],
        forked: Sequence[Change] = (),
        load: int | None = None,
        fork_in: int = 0,
    ) -> dict[Change, Recording]:
        """Run changes through ``main`` and fork calls in one of them; ``calls`` then holds what those gave."""
        run = run_probe(
            self._audited.submission,
            self._setup,
            full=[self._design.variant(change) for change in full],
            forked=[self._design.stream(change) for change in forked],
            budget=self.left,
            python=self._options.python,
            fork_at_load=load,
            fork_in=fork_in,
            labels=self._labels,
        )
        self.calls, self._tier = run.calls, run.tier
        self.left -= run.cpu_seconds
        self._cpu_seconds += run.cpu_seconds
        self._executions += len(run.full) + sum(len(call.recordings) for call in run.calls)
        self._problems += run.problems
        return dict(zip(full, run.full, strict=False))

    def session(self, main: Measured | str, call: Measured | str) -> Session:
        """What was measured, with its cost."""
        return Session(
            self._setup,
            self._design,
            main,
            call,
            self._executions,
            self._cpu_seconds,
            self._tier,
            tuple(self._problems),
            labels=self._labels,
        )


def _final_call(
    calls: Sequence[ForkedCall], changes: Sequence[Change], design: Design, main: Measured, labels: frozenset[str]
) -> Measured | str:
    """The forked call that made the final score: it must give the very number that the whole run printed."""
    said: Measured | str = "no call of a function with the validation stream returned the final score"
    for call in calls:
        recordings: Mapping[Change, Recording] = {
            change: recording
            for change, recording in zip(changes, call.recordings, strict=False)
            if recording.status in ENDED
        }
        found = measure(recordings, design, labels, main.wanted, main.match.is_bytewise) if recordings else said
        if isinstance(found, Measured) and abs(found.score - main.score) <= main.wanted[1]:
            said = found
    return said


def _inconclusive(session: Session, small: Session | None = None) -> str:
    """Why the documented run, or the one with small tables, allows no conclusion; empty when they do."""
    main, call = session.main, session.call
    if isinstance(main, str):
        return main
    if isinstance(call, str):
        return _why_undecided(main) or f"probabilities could not be summed up: {call}"
    if small is not None and isinstance(small.call, str):
        return f"probabilities could not be summed up with small tables: {small.call}"
    if not any(item.candidates >= session.design.vocabulary - _SPECIAL for item in call.totals):
        return _why_undecided(main) or "at no position could the whole vocabulary's probabilities be summed up"
    return _why_undecided(main)


def _why_undecided(main: Measured) -> str:
    """Why the whole run does not say whether scores depend on later tokens."""
    if not main.deterministic:
        return "two runs on the same stream give different scores"
    if main.reordered:
        return "tokens are scored in another order than the stream's, so a leak could not be told from it"
    return "" if main.shifts else "changed streams change the shape of the scores"


def _distinct(failures: Sequence[tuple[Failure, Session]]) -> tuple[tuple[Failure, Session], ...]:
    """One failure of each kind; training before the artifact explains every later leak."""
    kinds: dict[Kind, tuple[Failure, Session]] = {}
    for failure, session in failures:
        kinds.setdefault(failure.kind, (failure, session))
    if Kind.TRAINED in kinds:
        kinds.pop(Kind.LEAK, None)
    return tuple(kinds.values())
