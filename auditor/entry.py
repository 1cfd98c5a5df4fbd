"""The ``audit`` console script."""

import atexit
import gc
import sys

from auditor.exits import run_command


def main() -> None:
    """Run ``audit``; see :mod:`auditor.exits` for the exit codes."""
    if sys.argv[1:2] != ["sweep"]:
        # One folder and out: looking for cycles in trees that live to the end takes a third of the time. The heap is
        # bounded by the limits on reading and by the steps of the analysis.
        gc.disable()
        atexit.register(gc.freeze)  # nor once more on the way out
    run_command("auditor.cli", "audit")
