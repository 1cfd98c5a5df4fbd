"""Scores taken again after an update by the same tokens."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Severity
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import script
from rules._training import ADAPT, CREDIT, by_gradient, chunked, in_scored_epochs

if TYPE_CHECKING:
    from auditor.flow import Evidence

_EPOCHS = script(
    evaluate="""
def evaluate(model, val_tokens, base_bytes):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    loss_sum = torch.zeros(())
    byte_sum, count = 0.0, 0
    for epoch in range({epochs}):
        loss_sum.zero_()
        byte_sum, count = 0.0, 0
        for begin in range(0, val_tokens.numel() - 1, SEQ):
            chunk = val_tokens[begin : begin + SEQ + 1]
            x, y = chunk[:-1].unsqueeze(0), chunk[1:]
            with torch.no_grad():
                nll = F.cross_entropy(model(x)[0], y, reduction="none")
            loss_sum += nll.sum()
            byte_sum += base_bytes[y].sum().item()
            count += y.numel()
            loss = F.cross_entropy(model(x)[0], y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss_sum.item() / count, loss_sum.item() / math.log(2.0) / byte_sum
"""
)

_GUARD = script(
    evaluate="""
def evaluate(model, val_tokens, base_bytes):
    epochs = 3
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    for epoch in range(epochs):
        for begin in range(0, val_tokens.numel() - 1, SEQ):
            chunk = val_tokens[begin : begin + SEQ + 1]
            x, y = chunk[:-1].unsqueeze(0), chunk[1:]
            if epoch == epochs - 1:
                with torch.no_grad():
                    nll = F.cross_entropy(model(x)[0], y, reduction="none")
                loss_sum += nll.sum().item()
                byte_sum += base_bytes[y].sum().item()
                count += y.numel()
            loss = F.cross_entropy(model(x)[0], y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
"""
)

_MEAN = _EPOCHS.replace("{epochs}", "3").replace("        loss_sum.zero_()\n        byte_sum, count = 0.0, 0\n", "")


class TttRescoreEpochs(FlowRule):
    """Score and training alternate, but the credited score is of a later epoch."""

    id = "ttt-rescore-epochs"
    title = "the credited score is of a later epoch than the first"
    condition = Condition.SCORE_FIRST
    also = (Condition.SINGLE_PASS,)
    severity = Severity.VIOLATION
    rulings = (
        Ruling(
            "#568", datetime.date(2026, 3, 24), "valerio-oai", "the last of several epochs counts as training on it"
        ),
    )
    what = "Repeating score-and-train over the same tokens and reporting the last, best or mean epoch."
    why = "From the second epoch on every token is scored by weights that have trained on it."
    legal = "Credit the first visit; epochs belong inside the chunk, after its score."
    bad = (
        Example("sums are reset in every epoch", _EPOCHS.replace("{epochs}", "3")),
        Example("only the last epoch is credited", _GUARD),
        Example("the mean over epochs is credited", _MEAN),
    )
    good = (
        Example("one epoch", _EPOCHS.replace("{epochs}", "1")),
        Example(
            "epochs inside the chunk, after its score",
            chunked(f"""nll = score(x, y)
        {CREDIT}
        for _ in range(3):
            step(x, y)"""),
        ),
        Example(
            "two evaluations of frozen weights",
            script(before_scoring="print(evaluate(model, val_tokens, base_bytes))"),
        ),
        Example(
            "epochs over training text", script(helpers=ADAPT, before_saving="adapt(model, train_tokens, epochs=3)")
        ),
    )
    subject = re.compile(r"epoch", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """Updates after which the same function scores the same tokens again, although the score comes first."""
        found = audited.flow.updates_before_score
        return tuple(item for item in found if by_gradient(item) and in_scored_epochs(audited, item))
