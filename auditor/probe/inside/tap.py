"""The tap: elements of every reduction that could be a sum of losses, with where and in which order.

It knows nothing of the code under test. Whether a recorded vector is the losses behind a printed score is decided
later, by whether it reproduces the score's digits; a wrong tap cannot.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy._core import _methods

from auditor.probe.inside.frames import call_site
from auditor.probe.inside.patching import replace
from auditor.probe.record import Event, Line, Site

_LARGEST = 1e5
_OTHER_SIGN = 0.3
_MOST_KEPT = 1 << 16
"""Elements kept per site: the toy stream some two hundred times over."""

MOST_ELEMENTS = 4096
"""Longer vectors are not the losses of a toy stream."""


class Tap:
    """What was recorded so far in this process.

    Of each site the latest events are kept: a score is made of what came last before it, and some scripts reduce
    something else forty thousand times at another place.

    Attributes:
        on: whether anything is recorded.
        order: the number of the next event or line.
    """

    def __init__(self) -> None:
        self.on = False
        self.order = 0
        self._sites: dict[Site, _Kept] = {}
        self._lines: list[Line] = []

    def event(self, kind: str, values: npt.NDArray[Any]) -> None:
        """Record a reduction made by the submission's innermost frame, if it may be one of losses."""
        vector = values.astype(np.float64).reshape(-1)
        if not may_be_losses(vector):
            return
        self.event_at(call_site(kind, 3), vector)

    def output(self, site: Site, values: npt.NDArray[Any]) -> None:
        """Record what compiled code has written into an array."""
        self.event_at(site, values.astype(np.float64).reshape(-1))

    def event_at(self, site: Site, vector: npt.NDArray[np.float64]) -> None:
        """Record a reduction made at ``site``."""
        kept = self._sites.setdefault(site, _Kept(site))
        kept.add(vector, self.order)
        self.order += 1

    def line(self, text: str) -> None:
        """Record a line of output."""
        self._lines.append(Line(self.order, text))
        self.order += 1

    def events_since(self, order: int) -> tuple[Event, ...]:
        """Kept events from number ``order`` on."""
        found = [event for kept in self._sites.values() for event in kept.events if event.order >= order]
        return tuple(sorted(found, key=lambda event: event.order))

    def lines_since(self, order: int) -> tuple[Line, ...]:
        """Lines from number ``order`` on."""
        return tuple(line for line in self._lines if line.order >= order)


class _Kept:
    """The latest events of one site."""

    def __init__(self, site: Site) -> None:
        self.events: deque[Event] = deque()
        self._site = site
        self._elements = 0

    def add(self, vector: npt.NDArray[np.float64], order: int) -> None:
        self.events.append(Event(self._site, vector, order))
        self._elements += len(vector)
        while self._elements > _MOST_KEPT:
            self._elements -= len(self.events.popleft().values)


def may_be_losses(vector: npt.NDArray[np.float64]) -> bool:
    """Whether a vector looks like losses, or their negatives: of one sign nearly everywhere, and not large.

    Activations, of which there are a thousand times more, look otherwise. Where somebody's "probability" exceeds one
    the sign changes, so a share of the other sign is let through.
    """
    if not np.all(np.abs(vector) <= _LARGEST):
        return False
    positive, negative = int((vector > 0).sum()), int((vector < 0).sum())
    return min(positive, negative) <= _OTHER_SIGN * len(vector)


TAP = Tap()

_inside = threading.local()


def observer(record: Callable[..., None]) -> Callable[..., None]:
    """Let ``record`` see the arguments of a call, unless the tap is off or the call is itself part of a recording."""

    def observe(*arguments: Any, **named: Any) -> None:
        if not TAP.on or getattr(_inside, "busy", False):
            return
        _inside.busy = True
        try:
            record(*arguments, **named)
        except (RuntimeError, ValueError, TypeError, IndexError):
            return  # the call itself will raise what is wrong with its arguments
        finally:
            _inside.busy = False

    return observe


@observer
def _numpy_reduction(array: Any) -> None:
    if isinstance(array, np.ndarray) and array.dtype.kind == "f" and 0 < array.size <= MOST_ELEMENTS:
        TAP.event("numpy", array)


def _observed(reduce: Callable[..., Any]) -> Callable[..., Any]:
    def observed(array: Any, *arguments: Any, **named: Any) -> Any:
        _numpy_reduction(array)
        return reduce(array, *arguments, **named)

    return observed


def hook_numpy() -> None:
    """Hook numpy's sum and mean; numpy keeps its methods at their first use, so nothing may have summed before."""
    methods: Any = _methods
    replace(methods, _sum=_observed(methods._sum), _mean=_observed(methods._mean))
    replace(np, sum=_observed(np.sum))
