"""Where a token first moved what it may not: the function of the submission's to look at."""

from __future__ import annotations

from collections import Counter

import numpy as np

from auditor.probe.checks import NOISE, REPEATS
from auditor.probe.record import KERNEL, Event, Recording, Site


def entrance(base: Recording, last_changed: Recording) -> Site | None:
    """The first reduction in which the last token moved more than its own score and the copies of that.

    An honest scorer has none. A leaking one has seen the token when it gets there, in that function or just before.

    Args:
        base: the base run.
        last_changed: the same with another last token.

    Returns:
        None where no reduction moved in more places than it may, or the runs made different reductions.
    """
    others = _numbered(last_changed)
    for key, event in _numbered(base).items():
        other = others.get(key)
        if other is None or other.values.shape != event.values.shape:
            return None
        if np.count_nonzero(np.abs(event.values - other.values) > NOISE) > REPEATS:
            return event.site
    return None


def _numbered(recording: Recording) -> dict[tuple[Site, int], Event]:
    """Events in their order, by their site and how many of it came before."""
    seen: Counter[Site] = Counter()
    found = {}
    for event in recording.events:
        if event.site.kind == KERNEL:
            continue  # its state need not be in the order of the tokens
        found[event.site, seen[event.site]] = event
        seen[event.site] += 1
    return found
