"""Records that do not clear the one before."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Example, Rule, Ruling
from auditor.submission.arithmetic import significance
from rules._logs import log, metadata, runs

_PREVIOUS = re.compile(r"^(?:prev(?:ious)?|prior|sota|current_sota|merged_sota|record_to_beat)_?\w*(?:bpb)$")


def _example(scores: tuple[float, ...], previous: float) -> dict[str, str]:
    logs = [log(score * 2.0606 / 1.2204, score, seed=seed) for seed, score in enumerate(scores)]
    return {"submission.json": metadata(previous_sota_val_bpb=previous), **runs(*logs)}


class RecordThreshold(Rule):
    """The improvement over the previous record, tested over the runs.

    The record to beat is the one that the submission names, else the best where the pull request left the main branch.
    """

    id = "record-threshold"
    title = "the improvement is below 0.005 nats or not significant"
    condition = Condition.PROCESS
    severity = Severity.REVIEW
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "a record improves by 0.005 nats at p < 0.01"),
        Ruling(
            "#1902", datetime.date(2026, 4, 28), "cocohearts", "in practice a chronological progression at p < 0.25"
        ),
    )
    what = "Claiming a record whose runs do not beat the previous one by 0.005 nats at p < 0.01."
    why = "Below that the difference is the seed."
    legal = "Name the record to beat, and run as many seeds as the test needs."
    bad = (Example("0.001 bits better", files=_example((1.2200, 1.2203, 1.2210), 1.2214)),)
    good = (
        Example("0.02 bits better in each of three runs", files=_example((1.2200, 1.2203, 1.2210), 1.2404)),
        Example("no previous record is named", files={"submission.json": metadata(), **runs(log(), log())}),
    )

    def check(self, audited: Audited) -> RuleResult:
        """One-sided t test on per-run losses against the previous score, converted to nats by the run's own ratio."""
        terms = audited.contest.significance
        metadata = audited.submission.metadata
        if not audited.is_record or metadata is None or terms is None:
            return self.not_applicable("the submission claims no record")
        named = next(_previous_scores(metadata.raw), None)
        previous = named if named is not None else audited.record
        finals = [run.final_score for run in audited.runs if run.final_score is not None]
        pairs = [(score.val_loss, score.val_bpb) for score in finals if score.val_loss is not None]
        if previous is None or not pairs:
            return self.not_applicable("no previous record is known, or no log prints a loss")
        losses = [loss for loss, _ in pairs]
        ratio = pairs[0][0] / pairs[0][1]
        test = significance(losses, previous * ratio, terms.nats)
        facts = {
            "test": "one-sided one-sample t test",
            "runs": test.runs,
            "improvement_nats": round(test.improvement, 5),
            "p": test.p,
            "previous_bpb": previous,
            "previous_from": "submission" if named is not None else "main branch",
        }
        if test.p < terms.p:
            return self.judge([], facts=facts)
        message = (
            f"{test.runs} runs improve on {previous:g} bpb by {test.improvement:.4f} nats; p = {test.p:.2g} for "
            f"{terms.nats:g} or more, in a one-sided one-sample t test"
        )
        return self.judge([Finding(message, metadata.file, 0)], facts=facts)


def _previous_scores(raw: object) -> Iterator[float]:
    if isinstance(raw, dict):
        for key, value in raw.items():
            if isinstance(value, int | float) and _PREVIOUS.match(str(key).lower()) and 0.3 < value < 4:
                yield float(value)
