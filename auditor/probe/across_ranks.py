"""Whether text crosses from one rank to another before it may: two ranks, of which one alone gets a rewritten stream.

A rank's scores move by the other's copy of the text only through what the ranks exchange. That alone is legal: weights
that are averaged once a chunk is scored carry it, and documents may be scored in any order. So the proof is about two
pieces of text, and about no order of events: the scores of one, made by the first rank, depend on the second rank's
copy of the other, and the other way around. Whichever of the two was scored first was scored with knowledge of the one
that was not, and no decoder could read either first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from auditor.options import ProbeOptions
from auditor.probe.checks import LEFT_OUT, Vector, changed, is_deterministic
from auditor.probe.design import PIECE, Change, Design, make_design
from auditor.probe.engagement import STATISTICS, TRAINING
from auditor.probe.experiments import Session
from auditor.probe.failure import Failure
from auditor.probe.kinds import Kind
from auditor.probe.match import Match, entries, match_claim, orders
from auditor.probe.measure import reason
from auditor.probe.plan import Setup
from auditor.probe.record import ENDED, ProbeRun, Recording
from auditor.probe.runner import ProbeError, run_probe
from auditor.probe.settings import setup_for
from auditor.probe.two_ranks import rank_of
from auditor.sandbox import SandboxUnavailable
from auditor.score_names import score_labels
from auditor.submission import Submission

if TYPE_CHECKING:
    from auditor.audited import Audited

FIRST, SECOND = 0, 1
_SHARDS = ("WORLD_SIZE", "get_world_size")
_LEARNING = frozenset({TRAINING, STATISTICS})
"""What carries text from one score to another; a network alone exchanges nothing."""


@dataclass(frozen=True)
class Compared:
    """What two ranks did.

    Attributes:
        said: one sentence.
        session: what ran.
        failure: the leak, where there is one.
    """

    said: str
    session: Session
    failure: Failure | None = None


@dataclass(frozen=True)
class Shares:
    """The scores of a run with two ranks, and which of them moved in others.

    Attributes:
        match: the reductions that made the score, of both ranks.
        base: float64 [entries].
        ranks: int64 [entries], which rank made each.
        moved: entries that moved, by change of one rank's copy.
    """

    match: Match
    base: Vector
    ranks: npt.NDArray[np.int64]
    moved: Mapping[Change, frozenset[int]]

    def of(self, rank: int, change: Change) -> frozenset[int]:
        """A rank's entries that a change moved."""
        return frozenset(entry for entry in self.moved[change] if self.ranks[entry] == rank)


def is_worth_it(expected: Sequence[str], submission: Submission) -> bool:
    """Whether the script shares its work among ranks and learns from what it scores."""
    texts = [source.text for source in submission.sources.values()]
    return not _LEARNING.isdisjoint(expected) and any(word in text for word in _SHARDS for text in texts)


def across_ranks(audited: Audited, options: ProbeOptions, budget: float) -> Compared | str:
    """Compare two ranks; why they were not, in words, where they were not.

    The last token is rewritten first: where that moves none of the other rank's scores, the experiment is over.
    """
    setup, labels = setup_for(audited.submission), score_labels(audited)
    design = make_design(setup.vocabulary, setup.sequence)
    spent: list[ProbeRun] = []

    def run(changes: Sequence[Change]) -> Shares | str:
        found, recordings = _run(audited.submission, setup, design, changes, budget - _cost(spent), options.python)
        spent.append(found)
        return shares(recordings, design, labels)

    try:
        found = run((Change("base"), last_token(design)))
        if isinstance(found, Shares) and found.of(FIRST, last_token(design)):
            found = run(mutual_changes(design))
    except (ProbeError, SandboxUnavailable) as error:
        return str(error)
    if isinstance(found, str):
        return found
    failure = circle(found, design)
    said = _said(found, design) if failure is None else failure.said
    executions = sum(len(each.full) for each in spent)
    session = Session(
        setup, design, said, said, executions, _cost(spent), spent[0].tier, spent[0].problems, labels=labels
    )
    return Compared(said, session, failure)


def compare(
    submission: Submission,
    setup: Setup,
    design: Design,
    changes: Sequence[Change],
    budget: float,
    python: Path | None,
    labels: frozenset[str],
) -> Failure | str:
    """Run changes with two ranks again; the leak, or why there is none.

    Args:
        submission: what runs.
        setup: how.
        design: the streams.
        changes: of one rank's copy, or of none; the base stream's first.
        budget: CPU seconds.
        python: interpreter for the submission's code; None for ours.
        labels: of the lines that print the claimed score.

    Raises:
        ProbeError: the run broke off.
        SandboxUnavailable: no acceptable isolation works here.
    """
    _, recordings = _run(submission, setup, design, changes, budget, python)
    found = shares(recordings, design, labels)
    if isinstance(found, str):
        return found
    return circle(found, design) or _said(found, design)


def _run(
    submission: Submission,
    setup: Setup,
    design: Design,
    changes: Sequence[Change],
    budget: float,
    python: Path | None,
) -> tuple[ProbeRun, dict[Change, Recording]]:
    full = [design.ranked(change) for change in changes]
    run = run_probe(submission, setup, full=full, budget=budget, python=python)
    return run, dict(zip(changes, run.full, strict=False))


def _cost(runs: Sequence[ProbeRun]) -> float:
    return sum(run.cpu_seconds for run in runs)


def last_token(design: Design) -> Change:
    """The last token, rewritten for the second rank: nothing has it in front."""
    return Change("second", design.targets)


def mutual_changes(design: Design) -> tuple[Change, ...]:
    """What tells whether the last token and another piece of text depend on each other."""
    pieces = [Change(rank, at) for at in _pieces(design) for rank in ("first", "second")]
    return (Change("base"), Change("repeat"), last_token(design), Change("first", design.targets), *pieces)


def _pieces(design: Design) -> tuple[int, ...]:
    """Where the first rank's last piece of text may begin: halves of the stream or of a window, or windows by turns."""
    ends = (design.targets // 2, design.targets - design.sequence // 2, design.targets - design.sequence)
    return tuple(end - PIECE for end in ends)


def shares(recordings: Mapping[Change, Recording], design: Design, labels: frozenset[str]) -> Shares | str:
    """The scores of both ranks; why they cannot be told, in words, where they cannot.

    Args:
        recordings: by change, the base stream's first.
        design: the streams.
        labels: of the lines that print the claimed score.
    """
    failed = next((recording for recording in recordings.values() if recording.status not in ENDED), None)
    if failed is not None:
        return reason(failed)
    match = match_claim(list(recordings.values()), design.targets, labels=labels)
    if match is None or match.is_bytewise:
        return "no recorded reduction makes the score that two ranks print"
    vectors = {change: entries(recording, match) for change, recording in recordings.items()}
    owners = {change: _owners(recording, match) for change, recording in recordings.items()}
    base, ranks = vectors[Change("base")], owners[Change("base")]
    moved = {} if base is None else {change: changed(base, vector) for change, vector in vectors.items()}
    same = {change: found for change, found in moved.items() if found is not None}
    if base is None or len(same) < len(vectors) or not all(np.array_equal(ranks, other) for other in owners.values()):
        return "changed streams change the shape of the scores of two ranks"
    repeat = Change("repeat")
    if repeat in vectors and not is_deterministic(base, vectors[repeat]):
        return "two runs of two ranks on the same streams give different scores"
    if np.count_nonzero(base) < (1.0 - LEFT_OUT) * design.targets or len(set(ranks.tolist())) < len((FIRST, SECOND)):
        return "the scores that two ranks share could not be found"
    return Shares(match, base, ranks, same)


def _owners(recording: Recording, match: Match) -> npt.NDArray[np.int64]:
    return np.array([rank_of(order) for order in orders(recording, match)], np.int64)


def circle(found: Shares, design: Design) -> Failure | None:
    """Two pieces of text whose scores depend on each other across the ranks.

    The last token is N, the other piece A. Each must be scored by one rank alone: rewriting the other rank's copy moves
    none of that rank's own scores. Then every score of A is among those that A moves within the first rank, and N's is
    among those that N moves within the second; all of them must move by the other rank's copy of the other text.
    """
    last, mine = last_token(design), Change("first", design.targets)
    if mine not in found.moved or found.of(FIRST, mine):
        return None
    reached, own_last = found.of(FIRST, last), found.of(SECOND, last)
    for at in _pieces(design):
        here, there = Change("first", at), Change("second", at)
        if here not in found.moved or there not in found.moved:
            continue  # a counter-example holds one piece
        own = found.of(FIRST, here)
        if own and own_last and own <= reached and own_last <= found.of(SECOND, here) and not found.of(SECOND, there):
            return _failure(found, design, at, (last, mine, here, there))
    return None


def _failure(found: Shares, design: Design, at: int, changes: tuple[Change, ...]) -> Failure:
    last, _, here, _ = changes
    reached, back = len(found.of(FIRST, last)), len(found.of(SECOND, here))
    return Failure(
        kind=Kind.RANKS,
        said=(
            f"across ranks: changing token {design.targets} for the second of two ranks alone changed {reached} of the "
            f"first's {_count(found, FIRST)} scores, those of tokens {at} to {at + PIECE - 1} among them; changing "
            f"these for the first alone changed {back} of the second's {_count(found, SECOND)}, that of token "
            f"{design.targets} among them: whichever was scored first used the other before its score"
        ),
        site=found.match.site,
        key="main",
        changes=changes,
        position=at,
        expected={"reached": reached, "back": back, "entries": found.base.size},
    )


def _said(found: Shares, design: Design) -> str:
    reached = len(found.of(FIRST, last_token(design)))
    legal = "; no two pieces of text were found to depend on each other" if reached else ""
    return (
        f"two ranks: changing token {design.targets} for the second alone changed {reached} of the first's "
        f"{_count(found, FIRST)} scores{legal}"
    )


def _count(found: Shares, rank: int) -> int:
    return int((found.ranks == rank).sum())
