"""What the referee holds others to, it holds itself to: its trainer and evaluator pass `audit`."""

from __future__ import annotations

import shutil
from pathlib import Path

import own_program

from auditor.audit import audit_folder
from auditor.findings import Condition, Status
from auditor.options import Options

PROJECT = Path(__file__).resolve().parents[2]
SCORE = {
    Condition.CAUSALITY,
    Condition.NORMALISATION,
    Condition.SCORE_FIRST,
    Condition.SINGLE_PASS,
    Condition.BYTES,
    Condition.DATA,
}


def test_our_trainer_and_evaluator_pass(tmp_path: Path) -> None:
    for package in ("evaluator", "mini_contest", "reference_model", "rules"):
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(own_program.__file__, tmp_path / "train_gpt.py")
    audit = audit_folder(tmp_path, Options())
    assert not audit.coverage.static.incomplete, "the program was followed to its score"
    decided = {entry.rule: entry.status for entry in audit.rules if entry.condition in SCORE}
    accused = {Status.PROVED, Status.TRACED, Status.SUSPECTED, Status.NOT_ANALYSABLE}
    assert not {rule: status for rule, status in decided.items() if status in accused}
    assert decided["ngram-target-in-key"] is Status.CLEAR, "the mixer was looked at"
