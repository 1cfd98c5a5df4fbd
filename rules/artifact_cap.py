"""Artifacts over the cap."""

from __future__ import annotations

import datetime

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from rules._logs import log, metadata, runs


class ArtifactCap(Rule):
    """The model's bytes alone decide; a total over the cap by the author's own count asks for a look."""

    id = "artifact-cap"
    title = "the artifact exceeds 16,000,000 bytes"
    condition = Condition.PROCESS
    severity = Severity.VIOLATION
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "model and code take at most 16,000,000 bytes"),
        Ruling("#1809", datetime.date(2026, 4, 26), "regina-openai", "16,024,793 bytes are not eligible"),
    )
    what = "A compressed model larger than 16,000,000 decimal bytes; how code is counted is the rule code-bytes."
    why = "The cap is the contest."
    legal = "Compress until model and code fit; 16 MB are 16,000,000 bytes, not 16 MiB."
    bad = (
        Example("16.2 MB of model", files=runs(log(model_bytes=16_200_000))),
        Example("16 MiB are not 16 MB", files=runs(log(model_bytes=16_777_216, code_bytes=0))),
        Example("the printed total is over", files=runs(log(model_bytes=15_975_000)), expected=Status.SUSPECTED),
    )
    good = (
        Example(
            "the log counts the readable script, the metadata a packed one",
            files={**runs(log(model_bytes=15_975_000)), "submission.json": metadata(bytes_total=15_998_000)},
        ),
        Example("15.86 MB", files=runs(log())),
        Example("exactly at the cap", files=runs(log(model_bytes=15_940_000, code_bytes=60_000))),
        Example(
            "the size before compression is printed too",
            files=runs("Total submission size: 62303953 bytes\n" + log()),
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """The smallest model and total that each run prints: larger ones are earlier stages."""
        cap = audited.contest.caps.total_bytes
        model_over, total_over, facts = [], [], {}
        for run in audited.runs:
            model = min(run.model_bytes, key=lambda fact: fact.value, default=None)
            total = min(run.total_bytes, key=lambda fact: fact.value, default=None)
            if model is not None:
                facts[run.name] = {"model": model.value}
                if model.value > cap:
                    message = f"the model takes {model.value:,} bytes; the cap is {cap:,}"
                    model_over.append(Finding(message, model.file, model.line))
            if total is not None:
                facts.setdefault(run.name, {})["total"] = total.value
                if total.value > cap:
                    message = f"the log's own total is {total.value:,} bytes; the cap is {cap:,}"
                    total_over.append(Finding(message, total.file, total.line))
        if not facts:
            return self.not_applicable("no log prints a size")
        if model_over:
            return self.judge(model_over, facts=facts)
        return self.judge([] if _claims_less(audited, cap) else total_over, Status.SUSPECTED, facts)


def _claims_less(audited: Audited, cap: int) -> bool:
    """Whether the metadata claim totals under the cap: then how code is counted decides, which is code-bytes."""
    metadata = audited.submission.metadata
    if metadata is None:
        return False
    totals = [metadata.bytes_total, *(result.bytes_total for result in metadata.seed_results)]
    claimed = [total for total in totals if total is not None]
    return bool(claimed) and max(claimed) <= cap
