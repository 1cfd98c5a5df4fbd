"""Threads that the submission starts: torch's function modes belong to one thread, so each enters its own."""

from __future__ import annotations

import threading

from auditor.probe.inside.mode import Interception
from auditor.probe.inside.patching import replace

_run = threading.Thread.run


def _run_intercepted(thread: threading.Thread) -> None:
    with Interception():
        _run(thread)


def install() -> None:
    """Patch ``Thread.run``."""
    replace(threading.Thread, run=_run_intercepted)
