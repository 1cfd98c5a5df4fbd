"""The metadata that the leaderboard is made from."""

from __future__ import annotations

import datetime

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Example, Rule, Ruling
from auditor.submission import FileKind
from rules._logs import metadata

_LIKELY = (0.5, 8.0)
"""Bits per byte: below is better than any model, above is worse than a uniform guess over bytes."""


class SubmissionJson(Rule):
    """It parses, and name, author and score are there."""

    id = "submission-json"
    title = "submission.json is missing a field or does not parse"
    condition = Condition.PROCESS
    severity = Severity.FORMAT
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "submission.json holds name, GitHub id and val_bpb"),
    )
    what = "A submission.json that is no JSON object, or lacks name, author or val_bpb."
    why = "The leaderboard is made from it, and every check of a claim begins with it."
    legal = "Valid JSON with name, github_id and a numeric val_bpb."
    bad = (
        Example("a trailing comma", files={"submission.json": '{"name": "a", "val_bpb": 1.2,}'}),
        Example("a score to be filled in", files={"submission.json": metadata(val_bpb="PENDING")}),
    )
    good = (Example("complete", files={"submission.json": metadata()}),)

    def check(self, audited: Audited) -> RuleResult:
        """What reading it complained of, and what is absent."""
        submission = audited.submission
        metadata = submission.metadata
        if metadata is None:
            if submission.of_kind(FileKind.METADATA):
                return self.judge([Finding("cannot be read", "submission.json", 0)])
            return self.not_applicable("there is none; see required-files")
        found = [Finding(problem.message, problem.file, problem.line) for problem in metadata.problems]
        absent = [
            what
            for what, value in (
                ("name", metadata.name),
                ("author or github_id", metadata.author or metadata.github_id),
                ("val_bpb", metadata.val_bpb or metadata.retracted or None),
            )
            if value is None
        ]
        if metadata.raw:
            found += [Finding(f"no usable {what}", metadata.file, 0) for what in absent]
        if metadata.val_bpb is not None and not _LIKELY[0] <= metadata.val_bpb <= _LIKELY[1]:
            found.append(Finding(f"val_bpb {metadata.val_bpb:g} is no score of a language model", metadata.file, 0))
        return self.judge(found)
