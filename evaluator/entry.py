"""The ``evaluate`` console script."""

from auditor.exits import run_command


def main() -> None:
    """Run ``evaluate``; see :mod:`auditor.exits` for the exit codes."""
    run_command("evaluator.cli", "evaluate")
