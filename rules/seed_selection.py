"""Runs that were made and not reported."""

from __future__ import annotations

import datetime

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from rules._logs import log, metadata, runs


class SeedSelection(Rule):
    """Logs of further seeds whose scores the metadata leaves out, all of them worse."""

    id = "seed-selection"
    title = "reported seeds may be the best of more"
    condition = Condition.PROCESS
    severity = Severity.REVIEW
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "no brute-forced seeds, no best of many runs"),
        Ruling("#2135", datetime.date(2026, 5, 3), "community", "whether seeds were chosen was disputed"),
    )
    what = "Reporting the best of more runs than the record names."
    why = "The best of ten seeds is better than the mean of three by luck alone."
    legal = "Fix the seeds beforehand and report every run."
    bad = (
        Example(
            "a fourth, worse run is in the folder",
            files={
                "submission.json": metadata(
                    seeds=[1337, 42, 2025], seed_results={"1337": 1.2204, "42": 1.2204, "2025": 1.2204}
                ),
                **runs(*[log(seed=seed) for seed in (1337, 42, 2025)], log(2.08, 1.2319, seed=7)),
            },
            expected=Status.SUSPECTED,
        ),
    )
    good = (
        Example(
            "every run is reported",
            files={
                "submission.json": metadata(seeds=[1337, 42, 2025]),
                **runs(*[log(seed=seed) for seed in (1337, 42, 2025)]),
            },
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """Compare the seeds that logs print with those that the metadata lists."""
        metadata = audited.submission.metadata
        if not audited.is_record or metadata is None or not metadata.seeds or metadata.val_bpb is None:
            return self.not_applicable("the metadata lists no seeds of a record")
        found = [
            Finding(f"seed {run.seed} scored {run.final_score.val_bpb:.4f} and is not reported", run.name, 0)
            for run in audited.submission.logs
            if run.seed is not None
            and run.seed not in metadata.seeds
            and run.final_score is not None
            and metadata.val_bpb < run.final_score.val_bpb < metadata.val_bpb + 0.05
        ]
        return self.judge(found, Status.SUSPECTED, {"seeds": list(metadata.seeds)})
