"""Validation text in training or in the artifact."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from auditor.submission.switches import Value, code_defaults, effective
from rules._scripts import script
from rules._training import SCORE_FIRST

_TRAIN_FILES = ("TRAIN_FILES", "TRAIN_PATTERN", "TRAIN_SHARDS", "TRAIN_GLOB", "TRAIN_PATH")
_PREFIX = re.compile(r"^(?:PAID|VAL)_PREFIX(?:_(?:FILE|PATH|BLOB))?$")
"""Where a prefix is stored; how one would be decoded, or how long it would be, stores nothing."""
_SAYS = re.compile(
    r"\btrain(?:s|ed|ing)?\b[^.\n]{0,40}\b(?:only|entirely|directly|exclusively)\b[^.\n]{0,20}\bon\b[^.\n]{0,20}"
    r"\bval(?:idation)?\b|\bval(?:idation)?[- ]only\b[^.\n]{0,40}\btrain",
    re.IGNORECASE,
)
_DENIES = re.compile(r"\b(?:no|not|non|never|without|instead of|rather than)\b[^.\n]{0,40}$", re.IGNORECASE)
_AFTER_SCORING = re.compile(r"\b(?:scored|evaluated|graded|test[- ]time|TTT)\b", re.IGNORECASE)

_FILES = """
import os
train_files = os.environ.get("TRAIN_FILES", "data/fineweb_{split}_*.bin")
"""
_PAID = """
import os
prefix_file = os.environ.get("PAID_PREFIX_FILE", "{file}")
prefix_codec = os.environ.get("PAID_PREFIX_CODEC", "lzma")
"""


class ValInTraining(Rule):
    """What the training loader reads, by the launch and the code; prefixes that are stored; what the README says."""

    id = "val-in-training"
    title = "validation text is trained on or stored in the artifact"
    condition = Condition.DATA
    severity = Severity.VIOLATION
    rulings = (Ruling("README", datetime.date(2026, 3, 20), "README", "no training on validation data, no prefix"),)
    what = "A training loader over validation files, or a copy of validation tokens in the artifact."
    why = "The score is meant for text that the model has not seen."
    legal = "Train on fineweb_train_* only, and store weights only."
    bad = (
        Example("the training files are validation files by default", _FILES.format(split="val")),
        Example(
            "by the documented command",
            _FILES.format(split="train"),
            {"README.md": "## Run\n\n```bash\nTRAIN_FILES=data/fineweb_val_*.bin torchrun train_gpt.py\n```\n"},
        ),
        Example("a paid prefix", _PAID.format(file="prefix.xz")),
        Example(
            "the README says so",
            script(),
            {"README.md": "No TTT. We train only on the validation shard.\n"},
            expected=Status.SUSPECTED,
        ),
    )
    good = (
        Example("training files", _FILES.format(split="train")),
        Example("a prefix that is off", _PAID.format(file="")),
        Example("test-time training after the score", SCORE_FIRST),
        Example(
            "the README says that it does not",
            script(),
            {"README.md": "Standard shards, no val-only training; TTT trains only on scored validation tokens.\n"},
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """Training on the stream itself, in code, is found by prequant-val-ttt and ttt-before-score."""
        found = list(_found(audited))
        if found:
            return self.judge(found)
        said = _says(audited.submission.readme)
        if said is None:
            return self.unless_unread(audited, self.judge([]))
        line = audited.submission.readme.count("\n", 0, said) + 1
        return self.judge(
            [Finding("the README speaks of training on validation text", "README.md", line)], Status.SUSPECTED
        )


def _says(readme: str) -> int | None:
    """Where a README says of its own training that it is on validation text; None where it denies, or scores first."""
    for match in _SAYS.finditer(readme):
        start = max(readme.rfind(mark, 0, match.start()) + 1 for mark in ".\n;")
        end = min((at for at in (readme.find(mark, match.end()) for mark in ".\n;") if at >= 0), default=len(readme))
        if not _DENIES.search(readme[start : match.start()]) and not _AFTER_SCORING.search(readme[start:end]):
            return match.start()
    return None


def _found(audited: Audited) -> Iterator[Finding]:
    submission = audited.submission
    for name in _TRAIN_FILES:
        value = effective(submission, name)
        if value is not None and _is_validation(value):
            yield Finding(f"{name}={value.text[:80]} names validation files", value.file, value.line)
    for name in sorted({name for name, _ in code_defaults(submission) if _PREFIX.match(name)}):
        value = effective(submission, name)
        if value is not None and value.is_on:
            yield Finding(f"{name}={value.text[:80]} stores validation tokens", value.file, value.line)


def _is_validation(value: Value) -> bool:
    name = value.text.rpartition("/")[2]
    return "val" in name.lower() and "train" not in name.lower()
