"""Two leaderboards of the record track: by claim, and by claim among those where nothing was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.board.row import Row
from auditor.findings import Verdict

PLACES = 50


@dataclass(frozen=True, slots=True)
class Place:
    """A place; ``claimed`` is the rank by claim alone."""

    rank: int
    claimed: int
    row: Row


def rankings(rows: Sequence[Row]) -> tuple[tuple[Place, ...], tuple[Place, ...]]:
    """The claimed and the honest leaderboard, best score first; copies of earlier submissions have no place."""
    claims = [row for row in rows if row.track == "record" and row.bpb is not None and not row.copy]
    claims.sort(key=lambda row: (row.bpb, row.date, row.page))
    claimed = [Place(rank, rank, row) for rank, row in enumerate(claims, 1)]
    kept = [place for place in claimed if place.row.verdict == Verdict.CLEAR]
    honest = [Place(rank, place.claimed, place.row) for rank, place in enumerate(kept, 1)]
    return tuple(claimed[:PLACES]), tuple(honest[:PLACES])
