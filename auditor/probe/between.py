"""What a server concludes between two runs, so that it does not run what decides nothing any more.

The audit measures everything again from the recordings; a wrong conclusion here only costs or saves time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.probe.checks import shift
from auditor.probe.match import entries, match_claim, score_likewise
from auditor.probe.record import Recording


@dataclass(frozen=True)
class Between:
    """What the runs so far say.

    Attributes:
        wanted: the final score and its tolerance; None when no recorded reduction makes it.
        leaks: rewritten tokens moved more scores than an honest scorer moves.
        scores: the corresponding claim of each run with rewritten tokens; None where it has none.
    """

    wanted: tuple[float, float] | None
    leaks: bool = False
    scores: tuple[float | None, ...] = ()


def conclude_between(
    base: Recording, rewritten: Sequence[tuple[int, Recording]], targets: int, labels: frozenset[str]
) -> Between:
    """Conclude from the base run and from runs with rewritten tokens.

    Args:
        base: the base run.
        rewritten: the first rewritten position of each other run, and the run.
        targets: N.
        labels: of the claimed score.
    """
    match = match_claim([base, *(recording for _, recording in rewritten)], targets, labels=labels)
    reference = None if match is None else entries(base, match)
    if match is None or reference is None:
        return Between(None)
    shifts = [shift(reference, entries(recording, match), position, targets) for position, recording in rewritten]
    return Between(
        match.wanted,
        any(found is not None and not found.is_causal for found in shifts),
        tuple(score_likewise(base, match, recording) for _, recording in rewritten),
    )
