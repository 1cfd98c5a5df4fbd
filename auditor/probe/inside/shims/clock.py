"""A clock that ticks by calls: schedules depend on the wall clock, and two runs must agree bit for bit."""

from __future__ import annotations

import time
import uuid
from typing import Any

from auditor.probe.inside.patching import nothing, replace

_TICK = 1e-4
"""Seconds per reading."""

_now = 1.0e9


def tick(*_: Any) -> float:
    """The time, seconds; each reading is later than the last."""
    global _now  # noqa: PLW0603 - a clock is a global
    _now += _TICK
    return _now


def _tick_ns() -> int:
    return int(tick() * 1e9)


def start() -> None:
    """Replace the clocks of ``time``, let sleeping take none, and make unique names repeat.

    Call it in a run's own process, after everything of ours that needs the real time was imported.
    """
    replace(time, **dict.fromkeys(("time", "perf_counter", "monotonic", "process_time", "thread_time"), tick))
    replace(time, **dict.fromkeys(("time_ns", "perf_counter_ns", "monotonic_ns", "process_time_ns"), _tick_ns))
    replace(time, sleep=nothing)
    serial = iter(range(1 << 62))
    replace(uuid, uuid4=lambda: uuid.UUID(int=next(serial), version=4), uuid1=lambda *_: uuid.UUID(int=next(serial)))
