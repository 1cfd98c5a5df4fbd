"""Recordings as arrays and JSON: what the sandbox hands over, and its reader, which believes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.probe.record import Event, Line, Recording, Site, Status

Arrays = Mapping[str, npt.NDArray[np.generic]]

_MOST_LINES = 4000
_MOST_TEXT = 500
_MOST_FILES = 200


class WireError(ValueError):
    """What came over the wire is not a recording."""


@dataclass(frozen=True)
class _Head:
    """A recording without its numbers."""

    status: Status
    error: str
    key: str
    sites: tuple[Site, ...]
    lines: tuple[Line, ...]
    artifacts: dict[str, str]
    seconds: float
    cpu_seconds: float


def pack(recording: Recording) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.generic]]]:
    """JSON and arrays (``site``, ``length``, ``order`` int64 [events]; ``values``, ``returned`` float64)."""
    numbers: dict[Site, int] = {}
    ids = [numbers.setdefault(event.site, len(numbers)) for event in recording.events]
    head = _Head(
        status=recording.status,
        error=recording.error[-4 * _MOST_TEXT :],
        key=recording.key[:_MOST_TEXT],
        sites=tuple(numbers),
        lines=tuple(Line(line.order, line.text[:_MOST_TEXT]) for line in recording.lines[-_MOST_LINES:]),
        artifacts=dict(sorted(recording.artifacts.items())[:_MOST_FILES]),
        seconds=recording.seconds,
        cpu_seconds=recording.cpu_seconds,
    )
    values = [event.values for event in recording.events]
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "site": np.array(ids, np.int64),
        "length": np.array([len(vector) for vector in values], np.int64),
        "order": np.array([event.order for event in recording.events], np.int64),
        "values": np.concatenate(values) if values else np.zeros(0),
        "returned": np.array(recording.returned, np.float64),
    }
    return asdict(head), arrays


def unpack(meta: Any, arrays: Arrays) -> Recording:
    """The recording behind ``meta`` and ``arrays``; its vectors are views.

    Raises:
        WireError: anything is missing, of another type, or out of its range.
    """
    import msgspec

    try:
        head = msgspec.convert(meta, _Head)
        site, length, order = (_integers(arrays[name]) for name in ("site", "length", "order"))
        values, returned = (_floats(arrays[name]) for name in ("values", "returned"))
    except (msgspec.ValidationError, KeyError) as error:
        raise WireError(f"not a recording: {error}") from None
    ends = np.cumsum(length)
    if not len(site) == len(length) == len(order) or (len(length) and length.min() < 0):
        raise WireError("the events' arrays do not fit together")
    if (int(ends[-1]) if len(ends) else 0) != len(values) or np.any(np.diff(order) <= 0):
        raise WireError("the events' lengths or orders do not fit their values")
    if len(site) and not 0 <= site.min() <= site.max() < len(head.sites):
        raise WireError("an event has no site")
    vectors = np.split(values, ends[:-1]) if len(ends) else []
    events = (
        Event(head.sites[i], vector, at) for i, vector, at in zip(site.tolist(), vectors, order.tolist(), strict=True)
    )
    return Recording(
        status=head.status,
        error=head.error,
        key=head.key,
        events=tuple(events),
        lines=head.lines,
        returned=tuple(returned.tolist()),
        artifacts=head.artifacts,
        seconds=head.seconds,
        cpu_seconds=head.cpu_seconds,
    )


def _integers(array: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    if array.dtype != np.int64 or array.ndim != 1:
        raise WireError(f"{array.dtype} {array.shape} where integers were due")
    return array.view(np.int64)


def _floats(array: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    if array.dtype != np.float64 or array.ndim != 1:
        raise WireError(f"{array.dtype} {array.shape} where numbers were due")
    return array.view(np.float64)
