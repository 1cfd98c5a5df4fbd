"""Which output of a compiled kernel a token moved that it may not: the entry of its own position, or an earlier one.

Alone that proves nothing, because nothing says which token an entry is about; beside scores that are no distribution
it says where in the C code to look.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from auditor.probe.checks import NOISE
from auditor.probe.design import Change, Design
from auditor.probe.record import KERNEL, Event, Recording, Site

_LEAST_SHARE = 0.7
"""Of the stream, that an array with an entry per token covers."""


def moved_outputs(recordings: Mapping[Change, Recording], design: Design) -> dict[int, str]:
    """By position: the kernel's output that moved first when the token there was another one, in words.

    Args:
        recordings: by what their stream changes.
        design: the streams.
    """
    base = _outputs(recordings[Change("base")], design)
    if not base:
        return {}
    first: dict[int, tuple[int, Site]] = {}
    for change, recording in recordings.items():
        if change.kind != "substitute":
            continue
        others = _outputs(recording, design)
        for site, values in base.items():
            entry = _first_moved(values, others.get(site), change.position)
            if entry is not None:
                known = first.setdefault(change.position, (entry, site))
                first[change.position] = min(known, (entry, site), key=lambda pair: pair[0])
    return {
        position: f"{site.function}() in {site.file} then writes another entry {entry} of its argument {site.line}"
        for position, (entry, site) in first.items()
    }


def _outputs(recording: Recording, design: Design) -> dict[Site, Event]:
    """The last of each call's outputs that has an entry per token."""
    sizes = range(int(_LEAST_SHARE * design.targets), design.targets + 2)
    return {event.site: event for event in recording.events if event.site.kind == KERNEL and event.values.size in sizes}


def _first_moved(values: Event, other: Event | None, position: int) -> int | None:
    """The first entry that moved, if it is none of a later position."""
    if other is None or other.values.shape != values.values.shape:
        return None
    moved = np.flatnonzero(np.abs(values.values - other.values) > NOISE)
    return int(moved[0]) if moved.size and moved[0] <= position else None
