"""Folders for the tests of the command: small submissions of our own."""

from __future__ import annotations

from pathlib import Path

from auditor.audit import audit_folder
from auditor.options import Options
from auditor.report.document import Audit
from auditor.rule import Rule
from auditor.rule_packs import load_rules
from rules._logs import log, metadata, runs

BY_ID = {rule.id: rule for rule in load_rules()}
LOG_RULES: list[Rule] = [BY_ID[name] for name in ("artifact-cap", "bpb-denominator", "code-bytes", "train-wallclock")]
"""Enough rules to see every part of a report, none of which needs data flow."""


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files below ``folder``, which is made."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def honest(folder: Path) -> Path:
    """A submission in which the log rules find nothing."""
    files = {"train_gpt.py": "print(1)\n", "README.md": "# A model\n", "submission.json": metadata(), **runs(log())}
    return write(folder, files)


def late(folder: Path) -> Path:
    """A submission whose training stopped at 640 s."""
    honest(folder)
    return write(folder, runs(log(train_seconds=640.0)))


def audit(folder: Path, options: Options | None = None, rules: list[Rule] | None = None) -> Audit:
    """Audit with the log rules."""
    return audit_folder(folder, options or Options(), rules=LOG_RULES if rules is None else rules)
