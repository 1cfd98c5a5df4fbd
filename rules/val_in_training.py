"""Validation text in training or in the artifact."""

from __future__ import annotations

import datetime

from auditor.findings import Condition, Severity
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import script
from rules._training import SCORE_FIRST

_PREFIX = """paid = int(os.environ.get("PAID_PREFIX_TOKENS", "4096"))
    torch.save(val_tokens[:paid].to(torch.int16), "prefix.ptz")"""


class ValInTraining(FlowRule):
    """The training step reads validation files, or validation tokens are written into the artifact."""

    id = "val-in-training"
    title = "validation text is trained on or stored in the artifact"
    condition = Condition.DATA
    severity = Severity.VIOLATION
    rulings = (
        Ruling("README", datetime.date(2026, 3, 20), "README", "no training on validation data, no paid prefix"),
    )
    what = "A training loader over validation files, or a copy of validation tokens in the artifact."
    why = "The score is meant for text that the model has not seen."
    legal = "Train on fineweb_train_* only, and store weights only."
    bad = (
        Example("the training loader reads validation shards", script().replace("fineweb_train_*", "fineweb_val_*")),
        Example("both in one", script(before_saving="train(model, torch.cat([train_tokens, val_tokens]))")),
        Example("a paid prefix", script(before_saving=_PREFIX)),
    )
    good = (
        Example("training shards only", script()),
        Example("test-time training after the score", SCORE_FIRST),
        Example(
            "validation during training, without gradient",
            script(before_saving="print(evaluate(model, val_tokens, base_bytes))"),
        ),
    )
    facts = ("val-in-training", "val-in-artifact")
