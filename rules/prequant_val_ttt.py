"""Validation text trained into the artifact."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Severity
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import script
from rules._training import ADAPT, SCORE_FIRST, by_gradient

if TYPE_CHECKING:
    from auditor.flow import Evidence

_SWITCH = """if bool(int(os.environ.get("PREQUANT_TTT_ENABLED", "{default}"))):
        adapt(model, val_tokens, epochs=21)"""


class PrequantValTtt(FlowRule):
    """As ttt-before-score, with the update before the artifact is written."""

    id = "prequant-val-ttt"
    title = "validation tokens are trained on before the artifact is written"
    condition = Condition.SCORE_FIRST
    also = (Condition.CAUSALITY,)
    severity = Severity.VIOLATION
    rulings = (
        Ruling(
            "README", datetime.date(2026, 3, 20), "README", "only tokens that were already scored may be trained on"
        ),
        Ruling("#1376", datetime.date(2026, 4, 10), "valerio-oai", "named as the ruling case"),
        Ruling(
            "#1972", datetime.date(2026, 5, 2), "cocohearts", "adapts on the validation stream before the final score"
        ),
    )
    what = "Training on validation tokens before quantising and saving, for however few epochs."
    why = "The artifact then holds the validation text, and every later score is of text that was trained on."
    legal = "Finish the artifact without the validation stream; adapt afterwards, score first."
    bad = (
        Example("adapt, then save", script(helpers=ADAPT, before_saving="adapt(model, val_tokens)")),
        Example("on by the code's default", script(helpers=ADAPT, before_saving=_SWITCH.format(default=1))),
        Example(
            "off by default, on in the documented command",
            script(helpers=ADAPT, before_saving=_SWITCH.format(default=0)),
            {"README.md": "## Run\n\n```bash\nPREQUANT_TTT_ENABLED=1 torchrun --nproc_per_node=8 train_gpt.py\n```\n"},
        ),
    )
    good = (
        Example("off by default", script(helpers=ADAPT, before_saving=_SWITCH.format(default=0))),
        Example("fine-tuning on training tokens", script(helpers=ADAPT, before_saving="adapt(model, train_tokens)")),
        Example("score-first adaptation after saving", SCORE_FIRST),
    )
    subject = re.compile(r"ttt|adapt|finetune", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        return tuple(item for item in audited.flow.prequant_updates if by_gradient(item))
