"""N-gram hints computed from validation tokens before the evaluation timer starts."""

from __future__ import annotations

import datetime

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Example, Rule, Ruling
from auditor.submission.switches import effective
from rules._logs import log, runs

_SWITCH = "NGRAM_HINT_PRECOMPUTE_OUTSIDE"
_ENABLES = "NGRAM_TILT_ENABLED"

_CODE = """
import os
outside = bool(int(os.environ.get("NGRAM_HINT_PRECOMPUTE_OUTSIDE", "{outside}")))
tilt = bool(int(os.environ.get("NGRAM_TILT_ENABLED", "{tilt}")))
"""


class NgramPrecomputeOutsideTimer(Rule):
    """The switch that moves the computation out of the timer, as the documented run had it."""

    id = "ngram-precompute-outside-timer"
    title = "n-gram hints are precomputed outside the evaluation timer"
    condition = Condition.TIME
    severity = Severity.VIOLATION
    rulings = (
        Ruling(
            "#1514", datetime.date(2026, 4, 11), "valerio-oai", "hints read validation tokens, so they are evaluation"
        ),
    )
    what = f"Reading the validation stream to build hints before the timer starts ({_SWITCH}=1)."
    why = "It costs 150 to 160 s that the reported time leaves out."
    legal = f"Start the timer first ({_SWITCH}=0)."
    bad = (
        Example("by the code's default", _CODE.format(outside=1, tilt=1)),
        Example(
            "by the documented command",
            _CODE.format(outside=0, tilt=1),
            {"README.md": "## Run\n```bash\nNGRAM_HINT_PRECOMPUTE_OUTSIDE=1 torchrun train_gpt.py\n```\n"},
        ),
        Example(
            "by what the log prints",
            _CODE.format(outside=0, tilt=1),
            runs("ngram_hint_precompute_outside: True\n" + log()),
        ),
    )
    good = (
        Example("inside the timer", _CODE.format(outside=0, tilt=1)),
        Example("the tilt is off", _CODE.format(outside=1, tilt=0)),
        Example(
            "the log says inside",
            _CODE.format(outside=1, tilt=1),
            runs("ngram_hint_precompute_outside: False\n" + log()),
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """The effective value of both switches."""
        switch = effective(audited.submission, _SWITCH)
        if switch is None:
            return self.not_applicable("the script has no such switch")
        enabled = effective(audited.submission, _ENABLES)
        dormant = enabled is not None and not enabled.is_on
        how = "is set" if switch.documented else "is the default"
        finding = Finding(f"{_SWITCH}={switch.text} {how}", switch.file, switch.line, dormant=dormant)
        return self.judge([finding] if switch.is_on else [])
