"""Training shards read while evaluating."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Severity
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import scoring, script

if TYPE_CHECKING:
    from auditor.flow import Evidence

_PREFILL = """counts = np.zeros((VOCAB, VOCAB), dtype=np.int64)
    {load}
    np.add.at(counts, (previous[:-1], previous[1:]), 1)"""
_FROM_TRAIN = 'previous = load_tokens("data/fineweb10B_sp1024/fineweb_train_*.bin").numpy()'
_MIX = """row = counts[tokens[t - 1]] + 0.1
        p = 0.8 * p_model + 0.2 * row[tokens[t]] / row.sum()"""


class TrainingDataAtEval(FlowRule):
    """Between reading the artifact back and the last score, training files are opened or their tokens used."""

    id = "training-data-at-eval"
    title = "the evaluation uses training data that is not in the artifact"
    condition = Condition.DATA
    severity = Severity.VIOLATION
    rulings = (
        Ruling(
            "README",
            datetime.date(2026, 3, 18),
            "README",
            "no training data during evaluation unless it is in the artifact",
        ),
        Ruling(
            "#677", datetime.date(2026, 3, 27), "valerio-oai", "calibrating on training data after the clock is refused"
        ),
    )
    what = "Opening training shards, or using tables made from them, after the artifact was read back."
    why = "Those bits are not in the 16 MB."
    legal = "Store what the evaluation needs in the artifact, within the cap."
    bad = (
        Example(
            "a table filled from training shards while evaluating",
            scoring(setup=_PREFILL.format(load=_FROM_TRAIN), mixture=_MIX),
        ),
        Example(
            "more training after the artifact was read back",
            script(before_scoring="train(model, train_tokens, steps=8)"),
        ),
        Example(
            "scales from training text after the artifact was read back",
            script(
                before_scoring="""scale = model.hidden(train_tokens[None, :SEQ]).std().detach()
    model.head.weight.data *= 1.0 + 0.01 * scale"""
            ),
        ),
    )
    good = (
        Example("training data in training only", script()),
        Example(
            "calibration before the artifact is written", script(before_saving="train(model, train_tokens, steps=8)")
        ),
        Example(
            "a table that grows from scored tokens",
            scoring(
                setup="counts = np.zeros((VOCAB, VOCAB), dtype=np.int64)",
                mixture=_MIX,
                update="counts[tokens[t - 1], tokens[t]] += 1",
            ),
        ),
    )
    subject = re.compile(r"prefill|oracle|train_ngram|gptq", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        return audited.flow.train_reads_at_eval
