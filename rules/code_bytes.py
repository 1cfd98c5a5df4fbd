"""What counts as code."""

from __future__ import annotations

import datetime

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Example, Rule, Ruling
from auditor.submission.arithmetic import sizes
from rules._logs import log, runs

_LONG = "\n".join(f"value_{i} = {i * 7919 % 10007}" for i in range(2500)) + "\n"


class CodeBytes(Rule):
    """Three totals: as logged, with the script as shipped, with the reached code packed."""

    id = "code-bytes"
    title = "the total depends on how code is counted"
    condition = Condition.PROCESS
    severity = Severity.REVIEW
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "counted code should live in train_gpt.py"),
        Ruling(
            "#1530", datetime.date(2026, 4, 12), "cocohearts", "accepted with the size of a packed form not shipped"
        ),
    )
    what = "A logged total under the cap while model and script as shipped, or model and packed code, exceed it."
    why = "Accepted records count a minified, packed form that they do not ship; helpers and tokenizers count nowhere."
    legal = "Ship what you count: the packed script itself, with every helper in it."
    bad = (
        Example(
            "the readable script does not fit beside the model",
            _LONG,
            runs(log(model_bytes=15_980_000, code_bytes=18_000)),
        ),
    )
    good = (Example("the script fits as shipped", "print(1)\n", runs(log())),)

    def check(self, audited: Audited) -> RuleResult:
        """Compare the totals of the run with the largest model."""
        submission = audited.submission
        models = [min(run.model_bytes, key=lambda fact: fact.value) for run in audited.runs if run.model_bytes]
        if not models or submission.entry is None:
            return self.not_applicable("no log prints the model's size")
        cap = audited.contest.caps.total_bytes
        model = max(models, key=lambda fact: fact.value)
        logged = [min(fact.value for fact in run.total_bytes) for run in audited.runs if run.total_bytes]
        shipped = model.value + submission.files[submission.entry.name].size
        found = []
        if logged and max(logged) > cap:
            message = f"the log's own total is {max(logged):,} bytes; the cap is {cap:,}"
            found.append(Finding(message, model.file, model.line))
        if shipped <= cap and len(submission.sources) == 1:
            return self.judge(found, facts={"logged": max(logged, default=None), "as_shipped": shipped})
        inner = [
            source for source in submission.sources.values() if source.packed or not _is_stub(audited, source.name)
        ]
        closure = [*(source.text for source in inner), *(k.text for k in submission.kernels if k.reached)]
        totals = sizes(max(logged, default=None), model.value, submission.entry.text, closure)
        facts = {"logged": totals.logged, "as_shipped": shipped, "packed": totals.packed}
        if shipped > cap:
            message = f"model and script as shipped take {shipped:,} bytes; the cap is {cap:,}"
            found.append(Finding(message, model.file, model.line))
        if totals.packed is not None and totals.packed > cap:
            message = f"model and all reached code, packed, take {totals.packed:,} bytes; the cap is {cap:,}"
            found.append(Finding(message, model.file, model.line))
        return self.judge(found, facts=facts)


def _is_stub(audited: Audited, name: str) -> bool:
    """Whether a script only unpacks another one, which is counted instead."""
    return any(source.packed and source.packed.outer == name for source in audited.submission.sources.values())
