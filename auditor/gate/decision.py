"""From the reports of a pull request's submissions to one decision."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.exits import Exit
from auditor.findings import Verdict
from auditor.report.document import Audit

_EXITS = {Verdict.VIOLATION: Exit.FAILED, Verdict.NEEDS_REVIEW: Exit.REFUSED, Verdict.CLEAR: Exit.OK}


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate says.

    Attributes:
        verdict: the worst one; clear for a pull request without submissions.
        missing: what a clear verdict does not rest on, one line each; where there is any, the gate stays shut.
        submissions: how many were judged.
    """

    verdict: Verdict
    missing: tuple[str, ...]
    submissions: int

    @property
    def exit(self) -> Exit:
        """0 only for a clear verdict with full coverage."""
        if self.verdict is Verdict.CLEAR and self.missing:
            return Exit.REFUSED
        return _EXITS[self.verdict]

    @property
    def says(self) -> str:
        """One line."""
        if not self.submissions:
            return "this pull request brings no submission"
        what = f"{self.submissions} submission{'' if self.submissions == 1 else 's'}: {self.verdict.value}"
        return f"{what}, but not on full coverage" if self.exit is Exit.REFUSED and self.missing else what


def decide(audits: Sequence[Audit], *, probe: bool) -> Decision:
    """The decision over all submissions.

    Args:
        audits: their reports.
        probe: experiments are asked for, so that a verdict without them does not open the gate.
    """
    verdict = min((audit.verdict for audit in audits), key=list(Verdict).index, default=Verdict.CLEAR)
    missing = tuple(line for audit in audits for line in _missing(audit)) if probe else ()
    return Decision(verdict, missing, len(audits))


def _missing(audit: Audit) -> Iterator[str]:
    coverage = audit.coverage
    where = audit.submission.path or "scripts at the top"
    if coverage.static.incomplete:
        yield f"{where}: the analysis of the code is not complete: {coverage.static.incomplete[0]}"
    if not coverage.probe.ran:
        yield f"{where}: no experiment ran: {coverage.probe.reason}"
    elif coverage.probe.reason:
        yield f"{where}: the experiments allow no conclusion: {coverage.probe.reason}"
    elif not coverage.engaged:
        yield f"{where}: the experiments were not seen to exercise the scoring"
