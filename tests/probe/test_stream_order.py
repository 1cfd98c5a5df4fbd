"""Byte counts beside the scores tell in which order a scorer took the stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import toy_scorers as toy

from auditor.probe.bytewise import conventions
from auditor.probe.design import leak_changes
from auditor.probe.measure import Measured, measure
from auditor.probe.record import Event, Recording, Site
from auditor.probe.streams import BOS

Places = npt.NDArray[np.int64]
"""Positions of the stream, in the order in which they are scored."""

COUNTS = Site("sum", "train_gpt.py", "score", 31, 40)


def counted(scorer: toy.Scorer, tokens: toy.Tokens, places: Places) -> Recording:
    """A run whose code adds up the bytes of the tokens that it has just scored, those at ``places`` in turn."""
    counts = conventions(toy.V)[0](tokens)[places - 1].astype(np.float64)
    run = toy.record(scorer, tokens)
    events: list[Event] = []
    for event in run.events:
        events.append(replace(event, order=2 * event.order))
        if event.site == toy.SITE:
            mine, counts = np.split(counts, [len(event.values)])
            events.append(Event(COUNTS, mine, 2 * event.order + 1))
    return replace(run, events=tuple(events), lines=tuple(replace(line, order=2 * line.order) for line in run.lines))


def in_order(tokens: toy.Tokens) -> Places:
    return np.arange(1, len(tokens))


def last_document_first(tokens: toy.Tokens) -> Places:
    documents = np.split(in_order(tokens), np.flatnonzero(tokens[1:] == BOS))
    return np.concatenate(documents[::-1])


@pytest.mark.parametrize(
    ("scorer", "places", "reordered"),
    [(toy.two_pass_pairs, in_order, False), (toy.last_document_first, last_document_first, True)],
    ids=["two-pass", "another-order"],
)
def test_bytes_in_the_order_of_the_stream_leave_no_excuse_for_a_leak(
    scorer: toy.Scorer, places: Callable[[toy.Tokens], Places], reordered: bool
) -> None:
    streams = {change: toy.DESIGN.apply(change) for change in leak_changes(toy.DESIGN)}
    found = measure({change: counted(scorer, tokens, places(tokens)) for change, tokens in streams.items()}, toy.DESIGN)
    silent = measure({change: toy.record(scorer, tokens) for change, tokens in streams.items()}, toy.DESIGN)
    assert isinstance(found, Measured)
    assert isinstance(silent, Measured)
    assert silent.reordered
    assert found.reordered == reordered
    assert bool(found.leaks) != reordered


def hindsight(tokens: toy.Tokens) -> Iterator[toy.Vector]:
    """Every third token costs nothing, and the losses of three others depend on the last of the stream."""
    losses = np.where(in_order(tokens) % 3 == 0, 0.0, 2.5)
    losses[[10, 100, -1]] += tokens[-1] / 10.0
    yield from np.array_split(losses, 4)


def test_losses_of_nothing_hide_no_leak_where_each_token_has_one() -> None:
    streams = {change: toy.DESIGN.apply(change) for change in leak_changes(toy.DESIGN)}
    runs = {change: counted(hindsight, tokens, in_order(tokens)) for change, tokens in streams.items()}
    found = measure(runs, toy.DESIGN)
    assert isinstance(found, Measured)
    last = next(item for item in found.shifts if item.position == toy.DESIGN.targets)
    assert (last.changed, last.allowed) == (3, 1)
