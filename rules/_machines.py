"""On which machine a log's seconds were measured."""

from __future__ import annotations

from auditor.audited import Audited
from auditor.findings import Finding, Status


def time_status(audited: Audited, found: list[Finding]) -> Status:
    """Whether seconds over a budget break it, or only ask on which machine and track they were spent.

    The budget is for the contest's machine: a run on fewer GPUs takes longer, and says nothing of it. A folder that
    does not say of which track it is may be of the one without a budget.
    """
    counted = [finding for finding in found if not _smaller(audited, finding.file)]
    return Status.TRACED if counted and audited.is_record else Status.SUSPECTED


def _smaller(audited: Audited, name: str) -> bool:
    """Whether a log says that it ran on fewer GPUs than the contest's machine has."""
    machine = audited.contest.hardware
    settings = [log.settings["world_size"] for log in audited.runs if log.name == name and "world_size" in log.settings]
    sizes = [setting.value for setting in settings if setting.value.isdigit()]
    return machine is not None and any(int(size) < machine.gpus for size in sizes)
