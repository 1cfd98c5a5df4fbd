"""What `audit` says of a mutant."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from auditor.audit import audit_folder
from auditor.findings import Severity, Status
from auditor.options import Options
from auditor.report.document import Audit

from .host import Host

SCORE = frozenset({"C1", "C2", "C3", "C4", "bytes", "data"})
"""Conditions on the score itself; what a log or a form lacks is no business of a mutant's."""


@dataclass(frozen=True)
class Accusation:
    """One rule's traced or proved finding."""

    rule: str
    conditions: frozenset[str]


@dataclass(frozen=True)
class Outcome:
    """What was said of one submission.

    Attributes:
        accusations: rules of severity V on the score that are traced or proved.
        unsure: such rules that are suspected or cannot decide.
    """

    accusations: tuple[Accusation, ...]
    unsure: tuple[str, ...]

    @property
    def rules(self) -> frozenset[str]:
        """The accusing rules' ids."""
        return frozenset(accusation.rule for accusation in self.accusations)

    def finds(self, conditions: frozenset[str]) -> bool:
        """Whether an accusation is under one of these conditions."""
        return any(accusation.conditions & conditions for accusation in self.accusations)


def judge(host: Host) -> Outcome:
    """Audit a submission in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        return outcome(audit_folder(host.write(Path(folder) / "submission"), Options()))


def outcome(audit: Audit) -> Outcome:
    """What matters of a report."""
    entries = [entry for entry in audit.rules if entry.severity is Severity.VIOLATION and entry.condition in SCORE]
    accusing = [entry for entry in entries if entry.status in {Status.TRACED, Status.PROVED}]
    unsure = [entry.rule for entry in entries if entry.status in {Status.SUSPECTED, Status.NOT_ANALYSABLE}]
    return Outcome(
        tuple(Accusation(entry.rule, frozenset({str(entry.condition), *map(str, entry.also)})) for entry in accusing),
        tuple(unsure),
    )
