"""A smaller counter-example of a sum above one: the shortest stretch of the stream, ending where it was seen.

A sum takes a run per token of the vocabulary, so few stretches can be tried. The tested token stays where it is in the
text and becomes the last one: what a cache has seen just before it is what makes the sum exceed one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from auditor.options import ProbeOptions
from auditor.probe.design import WINDOWS, Design
from auditor.probe.experiments import Session, run_sums
from auditor.probe.failure import Failure, failures_of
from auditor.probe.kinds import Kind
from auditor.probe.measure import Measured
from auditor.probe.runner import ProbeError
from auditor.probe.streams import BOS

if TYPE_CHECKING:
    from auditor.audited import Audited

MOST_EXECUTIONS = 64
"""Runs that a smaller example may take, those of the forked scorer among them."""


@dataclass(frozen=True)
class Smaller:
    """What a search for a smaller counter-example came to.

    Attributes:
        failure: on the smallest stream that was found.
        session: on that stream.
        executions: of the submission's code, by the search.
        cpu_seconds: of them.
    """

    failure: Failure
    session: Session
    executions: int = 0
    cpu_seconds: float = 0.0


def stretch(design: Design, position: int, windows: int) -> Design | None:
    """As many windows of the stream as end with the token at ``position``, a document's beginning in front.

    Returns:
        None where the stream has no such stretch but itself.
    """
    targets = windows * design.sequence
    if not targets <= position <= design.targets or targets == design.targets:
        return None
    tokens = design.tokens[position - targets : position + 1].copy()
    tokens[0] = BOS
    return Design(design.vocabulary, design.sequence, tokens, (targets,))


def smaller_sum(failure: Failure, session: Session, audited: Audited, options: ProbeOptions, budget: float) -> Smaller:
    """The failure on the shortest stretch that shows it.

    Args:
        failure: a sum above one in a forked scorer.
        session: what showed it.
        audited: the submission.
        options: of the experiments.
        budget: CPU seconds that are left.
    """
    load = session.call.load if isinstance(session.call, Measured) else None
    executions, seconds, largest = 0, 0.0, 0
    for windows in range(1, WINDOWS):
        small = stretch(session.design, failure.position, windows)
        if small is None or seconds >= budget or executions + largest > MOST_EXECUTIONS:
            break
        try:
            tried = run_sums(audited, session.setup, options, budget - seconds, (0,), load, small)
        except ProbeError:
            break
        executions, seconds = executions + tried.executions, seconds + tried.cpu_seconds
        largest = max(largest, tried.executions)
        for found in failures_of(tried.call, failure.at_load) if isinstance(tried.call, Measured) else ():
            if found.kind is Kind.EXCESS and found.key == failure.key:
                known = replace(tried, at_load=session.at_load, executions=session.executions + executions)
                return Smaller(_with_both(found, small, failure, session.design), known, executions, seconds)
    return Smaller(failure, session, executions, seconds)


def _with_both(found: Failure, small: Design, first: Failure, design: Design) -> Failure:
    """The smaller one, certain where the first is, which may have been seen at several positions."""
    said = f"{found.said} of a stream of {small.targets + 1}; in one of {design.targets + 1}, {first.said}"
    return replace(found, said=said, is_certain=first.is_certain, site=first.site)
