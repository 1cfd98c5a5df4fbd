"""Evaluation that runs past its budget."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from auditor.audited import Audited
from auditor.claim import SAME
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from auditor.submission import Fact
from rules._logs import log, metadata, runs
from rules._machines import time_status


def _record(*logs: str) -> dict[str, str]:
    return {"submission.json": metadata(), **runs(*logs)}


class EvalWallclock(Rule):
    """The timer that the log prints for the evaluation which gave the claimed score."""

    id = "eval-wallclock"
    title = "evaluation runs past its 600 s"
    condition = Condition.TIME
    severity = Severity.VIOLATION
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "evaluation takes at most 10 minutes on 8xH100"),
        Ruling("#1972", datetime.date(2026, 5, 2), "cocohearts", "evaluation of about 688 s is over the cap"),
    )
    what = "An evaluation whose own timer says more than 600 s."
    why = "Adapting and searching at evaluation time buys score with seconds; the seconds are part of the contest."
    legal = "Fit everything that reads validation tokens into the evaluation budget, and log its timer."
    bad = (
        Example(
            "640 s on one GPU",
            files=_record("world_size:1 grad_accum_steps:8\n" + log(eval_seconds=640.0)),
            expected=Status.SUSPECTED,
        ),
        Example("of which track it is remains open", files=runs(log(eval_seconds=700.0)), expected=Status.SUSPECTED),
        Example("the score's own timer says 640 s", files=_record(log(eval_seconds=640.0))),
        Example("the total timer says 708 s", files=_record(log(extra="total_eval_time:708.2s\n"))),
        Example("an evaluation of 55 minutes", files=_record(log(), log(seed=42, eval_seconds=3348.0))),
    )
    good = (
        Example("75 s", files=runs(log())),
        Example("595 s", files=runs(log(eval_seconds=595.0))),
        Example(
            "an unlimited run", files={**runs(log(eval_seconds=3000.0)), "submission.json": '{"track": "non-record"}'}
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """The whole-evaluation timer of each run, else the timer printed with the claimed score."""
        if not audited.has_budget:
            return self.not_applicable("the submission claims no record")
        timers = list(evaluation_timers(audited))
        if not timers:
            return self.not_applicable("no log prints a timer of the evaluation")
        cap = audited.contest.caps.eval_seconds
        found = [
            Finding(f"the evaluation took {timer.value:,.1f} s; the budget is {cap:,.0f} s", timer.file, timer.line)
            for timer in timers
            if timer.value > cap
        ]
        return self.judge(
            found, time_status(audited, found), facts={"eval_seconds": {timer.file: timer.value for timer in timers}}
        )


def evaluation_timers(audited: Audited) -> Iterator[Fact[float]]:
    """One timer for each submitted run that prints one."""
    metadata = audited.submission.metadata
    claims = metadata.claimed_bpb if metadata else ()
    for run in audited.runs:
        if run.total_eval_seconds:
            yield run.total_eval_seconds[-1]
            continue
        timed = [score for score in run.scores if score.seconds is not None]
        claimed = [score for score in timed if any(abs(score.val_bpb - claim) <= SAME for claim in claims)]
        for score in (claimed or timed)[-1:]:
            yield Fact(score.seconds or 0.0, score.file, score.line, score.label)
