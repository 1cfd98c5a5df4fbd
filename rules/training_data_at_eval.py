"""Training shards read while evaluating."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._logs import log, runs
from rules._scripts import scoring, script

if TYPE_CHECKING:
    from auditor.flow import Evidence

_PREFILL = """counts = np.zeros((VOCAB, VOCAB), dtype=np.int64)
    {load}
    np.add.at(counts, (previous[:-1], previous[1:]), 1)"""
_GENERATES = re.compile(r"auto.?regress|self.?gen|generat|synthetic|random|\bAR\b", re.IGNORECASE)
_FROM_TRAIN = 'previous = load_tokens("data/fineweb10B_sp1024/fineweb_train_*.bin").numpy()'
_MIX = """row = counts[tokens[t - 1]] + 0.1
        p = 0.8 * p_model + 0.2 * row[tokens[t]] / row.sum()"""
_CALIBRATES = "gptq:calibrating with 256 batches...\ngptq:collected hessians for 68 layers\n"
_LATE = [log(train_seconds=600.1, seed=seed, extra=_CALIBRATES) for seed in (1, 2, 3)]
_RESERVED = [log(train_seconds=588.1, seed=seed, extra=_CALIBRATES) for seed in (1, 2, 3)]
_GENERATED = [
    log(train_seconds=600.1, seed=seed, extra="gptq:generating autoregressive calibration data\n" + _CALIBRATES)
    for seed in (1, 2, 3)
]


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
            "a table filled before the artifact that is not stored in it",
            scoring(setup="counts = PREFILLED", mixture=_MIX).replace(
                "    model = Model()\n    train(",
                """    global PREFILLED
    PREFILLED = np.zeros((VOCAB, VOCAB), dtype=np.int64)
    np.add.at(PREFILLED, (train_tokens.numpy()[:-1], train_tokens.numpy()[1:]), 1)
    model = Model()
    train(""",
            ),
            expected=Status.SUSPECTED,
        ),
        Example("the clock had run out before the calibration", script(), runs(*_LATE), expected=Status.SUSPECTED),
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
        Example("calibration on generated text after the clock", script(), runs(*_GENERATED)),
        Example("calibration in reserved time", script(), runs(*_RESERVED)),
        Example(
            "a buffer that is counted from training text",
            script(
                before_saving="""model.register_buffer("prior", torch.zeros(VOCAB))
    model.prior.scatter_add_(0, train_tokens, torch.ones(train_tokens.numel()))"""
            ),
        ),
        Example(
            "batches that only warm the compiler up after the artifact was read back",
            script(before_scoring="model(train_tokens[None, :SEQ])"),
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

    def check(self, audited: Audited) -> RuleResult:
        """The flow of training data, and calibration that the logs show after the training clock had run out."""
        result = super().check(audited)
        late = _late_calibration(audited) if result.status not in {Status.TRACED, Status.SUSPECTED} else []
        return self.judge([*late, *result.findings], Status.SUSPECTED) if late else result


def _late_calibration(audited: Audited) -> list[Finding]:
    """A calibration after the stop in every run that stopped; none where time was reserved or text was generated."""
    if not audited.has_budget:
        return []
    cap = audited.contest.caps.train_seconds
    found = []
    for run in audited.runs:
        stop = run.stop[-1] if run.stop else None
        after = [fact for fact in run.calibrations if stop is not None and fact.line > stop.line]
        if stop is None or stop.value < cap or not after or any(_GENERATES.search(fact.value) for fact in after):
            return []
        message = f"training stopped at {stop.value:,.1f} s, and the log speaks of a calibration after that"
        found.append(Finding(message, after[0].file, after[0].line))
    return found
