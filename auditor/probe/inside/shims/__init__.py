"""Stand-ins that let a script written for eight H100s run on one CPU, deterministically.

Each module is one surface and has ``install()``, which patches that surface for the whole process; the fork server
calls them once. A stand-in keeps the meaning of a score: attention attends to the same positions, reductions add the
same numbers. What it may change is speed, precision (bfloat16 becomes float32) and what the hardware calls itself.
"""

from __future__ import annotations

from importlib import import_module

_SURFACES = (
    "device",
    "cuda",
    "dtype",
    "attention",
    "compilation",
    "distributed",
    "compression",
    "threads",
    "recurrence",
    "programs",
    "kernels",
    "operators",
)


def install_all() -> None:
    """Install every stand-in that holds for all runs of the server; the clock is ``clock.start``'s, per run."""
    for surface in _SURFACES:
        import_module(f"{__name__}.{surface}").install()
