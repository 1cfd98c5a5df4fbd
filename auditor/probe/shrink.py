"""A smaller counter-example of a leak: fewer windows, the plainest text, the fewest rewritten tokens.

hypothesis looks for it, without randomness and without a database, so that an audit repeats; each try is a run of the
base stream and one of the changed stream through the whole ``main``, for leaks that a forked scorer showed, too. A sum
above one has a search of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from auditor.options import ProbeOptions
from auditor.probe.design import WINDOWS, Change, Design
from auditor.probe.experiments import Session
from auditor.probe.failure import Failure, failures_of
from auditor.probe.kinds import Kind
from auditor.probe.measure import Measured, measure
from auditor.probe.runner import ProbeError, run_probe
from auditor.probe.smaller_sums import Smaller, smaller_sum
from auditor.probe.streams import BOS, FIRST_TEXT_TOKEN

if TYPE_CHECKING:
    from auditor.audited import Audited

MOST_EXECUTIONS = 8
"""Runs through the whole ``main`` that a smaller example may take."""
_PER_TRY = 2
_MOST_DRAWN = 50

Draw = tuple[int, int, bool]
"""Windows, half windows between the first rewritten token and the last, whether the text is the usual one."""


def small_design(design: Design, drawn: Draw) -> Design | None:
    """The beginning of the base stream, or one token again and again, tested at one position; None if there is none."""
    windows, halves, usual = drawn
    targets = windows * design.sequence
    position = targets - halves * (design.sequence // 2)
    if position < 1 or targets > design.targets:
        return None
    tokens = design.tokens[: targets + 1].copy()
    if not usual:
        tokens = np.where(tokens == BOS, BOS, FIRST_TEXT_TOKEN).astype(np.uint16)
    return None if tokens[position] == BOS else Design(design.vocabulary, design.sequence, tokens, (position,))


def smallest(shows: Callable[[Draw], bool]) -> Draw | None:
    """The smallest draw that shows it; None if none of those that are tried does."""
    from hypothesis import HealthCheck, Phase, find, settings
    from hypothesis import strategies as st
    from hypothesis.errors import NoSuchExample

    draws = st.tuples(st.integers(1, WINDOWS), st.integers(0, 2 * WINDOWS - 1), st.booleans())
    chosen = settings(
        max_examples=_MOST_DRAWN,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    try:
        return find(draws, shows, settings=chosen, random=Random(0))  # noqa: S311 - repeats, no secret
    except NoSuchExample:
        return None


@dataclass
class _Tries:
    """Runs of small examples, and what they have cost."""

    audited: Audited
    options: ProbeOptions
    failure: Failure
    session: Session
    left: float
    executions: int = 0
    cpu_seconds: float = 0.0
    found: dict[Draw, tuple[Failure, Design] | None] = field(default_factory=dict)

    def smallest(self) -> Smaller:
        """The failure on the smallest stream that shows it, and its session there."""
        try:
            drawn = smallest(self.shows)
        except ProbeError:
            drawn = None
        found = None if drawn is None else self.found[drawn]
        if found is None:
            return Smaller(self.failure, self.session, self.executions, self.cpu_seconds)
        failure, design = found
        session = replace(self.session, design=design, executions=self.session.executions + self.executions)
        failure = replace(failure, entrance=self.failure.entrance)
        return Smaller(failure, session, self.executions, self.cpu_seconds)

    def shows(self, drawn: Draw) -> bool:
        """Whether the example shows the same failure; what no run is left for does not."""
        if drawn not in self.found:
            design = small_design(self.session.design, drawn)
            affordable = self.left > 0 and self.executions + _PER_TRY <= MOST_EXECUTIONS
            self.found[drawn] = self._run(design) if design is not None and affordable else None
        return self.found[drawn] is not None

    def _run(self, design: Design) -> tuple[Failure, Design] | None:
        change = Change("rewrite", design.positions[0])
        run = run_probe(
            self.audited.submission,
            self.session.setup,
            full=[design.variant(Change("base")), design.variant(change)],
            budget=self.left,
            python=self.options.python,
        )
        self.left -= run.cpu_seconds
        self.cpu_seconds += run.cpu_seconds
        self.executions += len(run.full)
        if len(run.full) < 2:
            return None  # on so short a stream the code fails
        # That the code repeats itself is known; what is shown in the end is confirmed by a replay with two base runs.
        recordings = {Change("base"): run.full[0], Change("repeat"): run.full[0], change: run.full[1]}
        measured = measure(recordings, design, self.session.labels)
        return self._same(measured, design) if isinstance(measured, Measured) else None

    def _same(self, measured: Measured, design: Design) -> tuple[Failure, Design] | None:
        same = (failure for failure in failures_of(measured) if failure.kind is self.failure.kind)
        return next(((failure, design) for failure in same), None)


@dataclass(frozen=True)
class Shrunk:
    """What a search for smaller counter-examples came to.

    Attributes:
        failures: each on the smallest stream that was found, with a session on that stream.
        executions: of the submission's code.
        cpu_seconds: of them.
    """

    failures: tuple[tuple[Failure, Session], ...]
    executions: int = 0
    cpu_seconds: float = 0.0


def shrink(
    failures: Sequence[tuple[Failure, Session]], audited: Audited, options: ProbeOptions, budget: float
) -> Shrunk:
    """The failures on smaller streams, where some are found.

    Args:
        failures: what the fixed plan found, each with its session.
        audited: the submission.
        options: of the experiments.
        budget: CPU seconds that are left.
    """
    smaller, executions, seconds = [], 0, 0.0
    for failure, session in failures:
        found = Smaller(failure, session)
        if failure.kind in {Kind.LEAK, Kind.TRAINED}:
            found = _Tries(audited, options, failure, session, budget - seconds).smallest()
        elif failure.kind is Kind.EXCESS and failure.key != "main":
            found = smaller_sum(failure, session, audited, options, budget - seconds)
        smaller.append((found.failure, found.session))
        executions, seconds = executions + found.executions, seconds + found.cpu_seconds
    return Shrunk(tuple(smaller), executions, seconds)
