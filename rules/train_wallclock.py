"""Training that runs past its budget."""

from __future__ import annotations

import datetime

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from rules._logs import log, metadata, runs
from rules._machines import time_status

_GRACE = 1.0
"""Seconds: the loop looks at the clock after a step, so honest runs end up to half a second late."""


def _record(*logs: str) -> dict[str, str]:
    return {"submission.json": metadata(), **runs(*logs)}


class TrainWallclock(Rule):
    """The time at which the log says that training stopped."""

    id = "train-wallclock"
    title = "training runs past its 600 s"
    condition = Condition.TIME
    severity = Severity.VIOLATION
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "a record trains for at most 10 minutes on 8xH100"),
        Ruling("#1028", datetime.date(2026, 3, 28), "valerio-oai", "calibration that reads training data counts"),
    )
    what = "Training for more than 600 s, by the log's own stop line; one second is left for the step in progress."
    why = "More training is a better model; every other submission kept to the budget."
    legal = "Stop early enough that the last step ends inside the budget, and log when it did."
    bad = (
        Example("of which track it is remains open", files=runs(log(train_seconds=700.0)), expected=Status.SUSPECTED),
        Example("stopped at 604 s", files=_record(log(train_seconds=604.0))),
        Example(
            "one of three runs stopped at 601.2 s", files=_record(log(), log(seed=42, train_seconds=601.2), log(seed=7))
        ),
        Example(
            "1,200 s on one GPU",
            files=_record("world_size:1 grad_accum_steps:8\n" + log(train_seconds=1200.0)),
            expected=Status.SUSPECTED,
        ),
        Example("the whole budget twice", files=_record(log(train_seconds=1199.6))),
    )
    good = (
        Example("stopped at 599.9 s", files=runs(log())),
        Example("the last step ended 0.3 s late", files=runs(log(train_seconds=600.3))),
        Example(
            "an unlimited run", files={**runs(log(train_seconds=14_400)), "submission.json": '{"track": "non-record"}'}
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """The last stop line of each submitted run, on the track that has a budget."""
        stops = [run.stop[-1] for run in audited.runs if run.stop]
        if not audited.has_budget:
            return self.not_applicable("the submission claims no record")
        if not stops:
            return self.not_applicable("no log says when training stopped")
        cap = audited.contest.caps.train_seconds
        found = [
            Finding(f"training stopped at {stop.value:,.1f} s; the budget is {cap:,.0f} s", stop.file, stop.line)
            for stop in stops
            if stop.value > cap + _GRACE
        ]
        return self.judge(
            found, time_status(audited, found), facts={"train_seconds": {stop.file: stop.value for stop in stops}}
        )
