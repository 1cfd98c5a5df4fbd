"""Scores of another stage than the one that counts."""

from __future__ import annotations

import datetime
import re

from auditor.audited import Audited
from auditor.claim import SAME
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from rules._logs import log, metadata, runs

_EARLIER = re.compile(r"pre[-_ ]?quant|unquant|before|raw|fp32|bf16|diagnostic|float|post_ema|no_quant", re.IGNORECASE)


class MetricLabel(Rule):
    """The label under which the claimed score was printed."""

    id = "metric-label"
    title = "the claimed score was printed as another metric"
    condition = Condition.PROCESS
    severity = Severity.REVIEW
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "the score is that of the artifact, after compression"),
    )
    what = "Claiming a score that the log prints for the model before quantisation, or as a diagnostic."
    why = "The artifact is what is submitted; the model that it came from scores better."
    legal = "Claim the score of the model read back from the artifact, and label it so."
    bad = (
        Example(
            "the score before quantisation",
            files={
                "submission.json": metadata(),
                **runs(log(2.08, 1.2319, extra="pre_quant val_loss:2.0606 val_bpb:1.2204\n")),
            },
            expected=Status.SUSPECTED,
        ),
    )
    good = (Example("the score of the artifact", files={"submission.json": metadata(), **runs(log())}),)

    def check(self, audited: Audited) -> RuleResult:
        """Scores equal to the headline, when all of them carry the label of an earlier stage."""
        metadata = audited.submission.metadata
        if metadata is None or metadata.val_bpb is None:
            return self.not_applicable("no score is claimed")
        claim = metadata.val_bpb
        same = [score for run in audited.runs for score in run.scores if abs(score.val_bpb - claim) <= SAME]
        if not same:
            return self.not_applicable("no log prints the claimed score")
        wrong = same if all(_EARLIER.search(score.label) for score in same) else []
        found = [Finding(f"{claim:g} is printed as {score.label!r}", score.file, score.line) for score in wrong[:3]]
        return self.judge(found, Status.SUSPECTED)
