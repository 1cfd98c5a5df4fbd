"""Evaluation work outside the timer that is reported."""

from __future__ import annotations

import datetime

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Example, Rule, Ruling
from rules._logs import log, runs


class EvalTimerGap(Rule):
    """Timers that together exceed the cap although none does alone."""

    id = "eval-timer-gap"
    title = "the evaluation's timers together exceed its budget"
    condition = Condition.TIME
    severity = Severity.REVIEW
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "evaluation takes at most 10 minutes on 8xH100"),
        Ruling("#1855", datetime.date(2026, 4, 27), "cocohearts", "accepted with warm-up outside the printed timer"),
    )
    what = "Several evaluation steps, each timed on its own, that sum to more than 600 s."
    why = (
        "What counts as evaluation is not settled: loading, compiling and diagnostics stay outside in accepted records."
    )
    legal = "Print one timer from loading the artifact to the last score."
    bad = (
        Example(
            "170 s of sliding evaluation before 440 s of test-time training",
            files=runs(log(eval_seconds=440.0, extra="final_sliding val_loss:2.07 val_bpb:1.23 eval_time:170000ms\n")),
        ),
    )
    good = (Example("one evaluation", files=runs(log(eval_seconds=440.0))),)

    def check(self, audited: Audited) -> RuleResult:
        """The sum of the timers of all final scores of a run, each label once."""
        if not audited.has_budget:
            return self.not_applicable("the submission claims no record")
        cap = audited.contest.caps.eval_seconds
        found, sums = [], {}
        for run in audited.runs:
            timers = {score.label.removesuffix("_exact"): score for score in run.scores if score.seconds is not None}
            seconds = [score.seconds or 0.0 for score in timers.values()]
            if not seconds:
                continue
            sums[run.name] = round(sum(seconds), 1)
            if max(seconds) <= cap < sum(seconds):
                last = run.scores[-1]
                parts = " + ".join(f"{value:,.0f}" for value in seconds)
                message = f"timers of {parts} s sum to {sum(seconds):,.0f} s; the budget is {cap:,.0f} s"
                found.append(Finding(message, last.file, last.line))
        if not sums:
            return self.not_applicable("no log prints a timer of the evaluation")
        return self.judge(found, facts={"timer_sum_seconds": sums})
