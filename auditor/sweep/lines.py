"""A sweep's results as JSON lines: one object per submission, small enough to read all of them at once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from auditor.findings import Status
from auditor.report.document import Audit
from auditor.sweep.groups import Group
from auditor.sweep.store import Entry

_SILENT = frozenset({Status.CLEAR, Status.NOT_APPLICABLE})


def lines(entries: Iterable[Entry], groups: Mapping[tuple[str, str], Group]) -> Iterable[str]:
    """The lines, each with its end."""
    for entry in entries:
        yield json.dumps(_line(entry, groups.get((entry.ref, entry.folder))), separators=(",", ":")) + "\n"


def _line(entry: Entry, group: Group | None) -> dict[str, Any]:
    line: dict[str, Any] = {
        "pull": entry.pull,
        "ref": entry.ref,
        "head": entry.head,
        "folder": entry.folder,
        "outcome": entry.outcome,
        "seconds": entry.seconds,
    }
    if entry.reason:
        line["reason"] = entry.reason
    if entry.absent:
        line["absent"] = entry.absent
    if entry.audit is not None:
        line |= _report(entry.audit)
    if group is not None:
        me = next(member for member in group.members if (member.ref, member.folder) == (entry.ref, entry.folder))
        if me.likeness is None:
            heirs = [member for member in group.members if member.inherits]
            line["inherited_by"] = [{"ref": heir.ref, "folder": heir.folder} for heir in heirs]
        else:
            parent = {"ref": group.parent.ref, "folder": group.parent.folder, "likeness": me.likeness.value}
            line["parent"] = {**parent, "inherits": me.inherits}
    return line


def _report(audit: Audit) -> dict[str, Any]:
    return {
        "verdict": audit.verdict.value,
        "author": audit.submission.author,
        "name": audit.submission.name,
        "val_bpb": audit.submission.val_bpb,
        "rules": {rule.rule: rule.status.value for rule in audit.rules if rule.status not in _SILENT},
        "probed": audit.coverage.probe.ran,
        "unread": len(audit.coverage.static.unread),
    }
