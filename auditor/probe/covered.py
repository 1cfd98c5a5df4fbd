"""What the experiments covered, for the report. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.report.document import ProbeCoverage


@dataclass(frozen=True)
class Covered:
    """What the experiments covered.

    Attributes:
        coverage: for the report.
        engaged: mechanisms that were seen to run.
        cpu_seconds: of the submission's code.
    """

    coverage: ProbeCoverage
    engaged: tuple[str, ...] = ()
    cpu_seconds: float = 0.0


def nothing_ran(reason: str) -> Covered:
    """No experiment ran, and why."""
    return Covered(ProbeCoverage(ran=False, reason=reason))
