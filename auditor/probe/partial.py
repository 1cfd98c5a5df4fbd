"""Scores made of several stretches of a run's reductions.

A scorer that goes over a batch of documents several times and keeps the last time adds up each batch by itself, then
the batches: its reductions of the last times are no suffix of those that it made. Each partial sum tells which.
A scorer that scores the first windows again and puts the new losses in place of theirs leaves the others as they were.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence

from auditor.probe.record import Event, Site

Part = tuple[Site, range]
"""Some of a site's events, by their indices."""

_RELATIVE = 3e-6
"""Error of a partial sum of some hundred float32 losses."""


def partial_sums(by_site: Mapping[Site, Sequence[Event]]) -> Iterator[tuple[tuple[Part, ...], float]]:
    """Reductions that were added up in parts, with their total, for each suffix of the partial sums.

    Args:
        by_site: events of each site, in their order.
    """
    for site_of_parts, parts in by_site.items():
        if site_of_parts.kind != "accumulate" or any(part.values.size != 1 for part in parts):
            continue
        for site, events in by_site.items():
            if site != site_of_parts:
                for ranges, total in _suffixes(parts, events):
                    yield tuple((site, each) for each in ranges), total


def replaced_starts(by_site: Mapping[Site, Sequence[Event]]) -> Iterator[tuple[tuple[Part, ...], float]]:
    """Reductions of which the first were made again at a later site, with the total of the later and the rest.

    Args:
        by_site: events of each site, in their order.
    """
    sizes = {site: [event.values.size for event in events] for site, events in by_site.items()}
    sums = {site: [float(event.values.sum()) for event in events] for site, events in by_site.items()}
    for site, events in by_site.items():
        for later, again in by_site.items():
            if later == site or again[0].order < events[-1].order:
                continue
            rest = 0.0
            for kept in range(len(events) - 1, len(again) - 1, -1):
                rest += sums[site][kept]
                if sizes[site][kept - len(again) : kept] == sizes[later]:
                    yield ((later, range(len(again))), (site, range(kept, len(events)))), rest + sum(sums[later])


def _suffixes(parts: Sequence[Event], events: Sequence[Event]) -> Iterator[tuple[tuple[range, ...], float]]:
    orders = [event.order for event in events]
    ranges: tuple[range, ...] = ()
    total = 0.0
    for number in range(len(parts) - 1, -1, -1):
        part = parts[number]
        begin = bisect_left(orders, parts[number - 1].order) if number else 0
        found = _run(events, begin, bisect_left(orders, part.order), float(part.values[0]))
        if found is None:
            return
        ranges, total = (found, *ranges), total + float(part.values[0])
        yield ranges, total


def _run(events: Sequence[Event], begin: int, end: int, value: float) -> range | None:
    """The shortest run of events, up to ``end`` and not before ``begin``, that adds up to ``value``."""
    total = 0.0
    for first in range(end - 1, begin - 1, -1):
        total += float(events[first].values.sum())
        if abs(total - value) <= _RELATIVE * max(1.0, abs(value)):
            return range(first, end)
    return None
