"""Records on fewer runs than the contest asks for."""

from __future__ import annotations

import datetime

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Example, Rule, Ruling
from auditor.submission import Log
from rules._logs import log, metadata, runs

_PER_RUN = frozenset({"seed", "run_id", "logfile", "rank", "local_rank", "world_size", "artifact_dir", "log_dir"})
_MOST_SHOWN = 4


class ThreeSeeds(Rule):
    """Runs by their logs, and whether they share one configuration."""

    id = "three-seeds"
    title = "a record rests on fewer than three runs of one configuration"
    condition = Condition.PROCESS
    severity = Severity.REVIEW
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "a record is the mean of at least three runs"),
        Ruling("#2124", datetime.date(2026, 5, 2), "cocohearts", "a third seed from another configuration is refused"),
    )
    what = "Claiming a record with logs of fewer than three seeds, or of runs with other hyperparameters."
    why = "Seeds differ by more than records do."
    legal = "Run one configuration with three seeds, and ship all three logs."
    bad = (
        Example("one run", files={"submission.json": metadata(), **runs(log())}),
        Example(
            "the third run had another learning rate",
            files={
                "submission.json": metadata(),
                **runs(
                    "matrix_lr: 0.02\n" + log(seed=1),
                    "matrix_lr: 0.02\n" + log(seed=2),
                    "matrix_lr: 0.03\n" + log(seed=3),
                ),
            },
        ),
    )
    good = (
        Example("three runs", files={"submission.json": metadata(), **runs(*[log(seed=seed) for seed in (1, 2, 3)])}),
        Example("no record", files={"submission.json": metadata(track="non_record_16mb"), **runs(log())}),
    )

    def check(self, audited: Audited) -> RuleResult:
        """Distinct seeds among the logs of the submitted runs; then their hyperparameters."""
        if not audited.is_record:
            return self.not_applicable("the submission claims no record")
        wanted = audited.contest.significance.seeds if audited.contest.significance else 0
        scored = [run for run in audited.runs if run.scores]
        seeds = {run.seed if run.seed is not None else run.name for run in scored}
        found = []
        if len(seeds) < wanted:
            message = f"logs of {len(seeds)} runs with a score; a record needs {wanted}"
            found.append(Finding(message, scored[0].name if scored else "", 0))
        found += _differences(scored)
        return self.judge(found, facts={"runs": len(seeds)})


def _differences(runs_of_record: list[Log]) -> list[Finding]:
    """Hyperparameters that the runs print with different values."""
    found: list[Finding] = []
    for run in runs_of_record[1:]:
        first = runs_of_record[0]
        for name in sorted(first.settings.keys() & run.settings.keys()):
            one, other = first.settings[name], run.settings[name]
            lower = name.lower()
            if lower in _PER_RUN or any(word in lower for word in ("seed", "path", "time", "file", "id")):
                continue
            if _is_number(one.value) and _is_number(other.value) and float(one.value) != float(other.value):
                message = f"{name} is {other.value} here and {one.value} in {one.file}"
                found.append(Finding(message, other.file, other.line))
    return found[:_MOST_SHOWN]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
