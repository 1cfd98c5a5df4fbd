"""Two ranks' recordings as one: orders say who recorded what, and between which collectives.

The ranks take turns: the first runs up to a collective, then the second up to the same one. So the time of a run with
two ranks is a count of turns, and an event's order is its number within its turn, behind everything of earlier turns.
"""

from __future__ import annotations

from dataclasses import replace

from auditor.probe.record import ENDED, Recording

_TURN = 1 << 32
"""More events than one turn can record."""


def first_order(collectives: int, rank: int) -> int:
    """The least order of what ``rank`` (0 or 1) records once it has passed that many collectives."""
    return (2 * collectives + rank) * _TURN


def rank_of(order: int) -> int:
    """The rank that recorded it, 0 or 1."""
    return order // _TURN % 2


def merged(first: Recording, second: Recording) -> Recording:
    """The run as one recording: the events of both ranks by order, the first rank's lines and files.

    The second rank's status stands where the first one ended well.
    """
    failed = first.status in ENDED and second.status not in ENDED
    return replace(
        first,
        status=second.status if failed else first.status,
        error=f"the second rank: {second.error}" if failed else first.error,
        events=tuple(sorted((*first.events, *second.events), key=lambda event: event.order)),
        cpu_seconds=first.cpu_seconds + second.cpu_seconds,
    )
