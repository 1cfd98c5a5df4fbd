"""The ``audit`` console script."""

from auditor.exits import run_command


def main() -> None:
    """Run ``audit``; see :mod:`auditor.exits` for the exit codes."""
    run_command("auditor.cli", "audit")
