"""Run an untrusted program, isolated and with limits.

``run(module)`` runs one of our own modules on hostile input, ``run_program(argv)`` runs any program; both give a
``SandboxResult``. Names load on first use: the launcher imports this package inside the jail, before the program's
site-packages exist there.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.sandbox.result import Limits, SandboxResult, SandboxUnavailable, Status, Tier
    from auditor.sandbox.runner import run, run_program
    from auditor.sandbox.tiers import available_tier

__all__ = [
    "Limits",
    "SandboxResult",
    "SandboxUnavailable",
    "Status",
    "Tier",
    "available_tier",
    "run",
    "run_program",
]

_HOME = {"run": "runner", "run_program": "runner", "available_tier": "tiers"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'result')}"), name)
