"""State fitted on the loss of the positions about to be scored."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Severity
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import script

if TYPE_CHECKING:
    from auditor.flow import Evidence

_SLOT = """
def evaluate(model, val_tokens, base_bytes):
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    for begin in range(0, val_tokens.numel() - 1, SEQ):
        window = val_tokens[begin : begin + SEQ + 1]
        x, y = window[:-1].unsqueeze(0), window[1:].unsqueeze(0)
        with torch.no_grad():
            hidden = model.hidden(x)
        delta = {delta}
        optimizer = torch.optim.AdamW([delta], lr=1e-2)
        for _ in range(8):
            logits = {logits}
            loss = F.cross_entropy(logits[:, {fitted}].flatten(0, 1), y[:, {fitted}].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            logits = {logits}
            nll = F.cross_entropy(logits[:, {scored}].flatten(0, 1), y[:, {scored}].flatten(), reduction="none")
        loss_sum += nll.sum().item()
        byte_sum += base_bytes[y[:, {scored}]].sum().item()
        count += nll.numel()
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
"""
_HIDDEN = "model.head(hidden + delta)"
_LEAF = "torch.zeros(1, 1, 64, requires_grad=True)"


def _slot(fitted: str, scored: str, delta: str = _LEAF, logits: str = _HIDDEN) -> str:
    return script(evaluate=_SLOT.format(delta=delta, logits=logits, fitted=fitted, scored=scored))


class SlotOnScoredPositions(FlowRule):
    """A leaf tensor made in the scoring loop is optimised on targets that the same iteration then scores."""

    id = "slot-on-scored-positions"
    title = "a per-batch state is fitted on the positions it then scores"
    condition = Condition.SCORE_FIRST
    also = (Condition.CAUSALITY,)
    severity = Severity.VIOLATION
    rulings = (
        Ruling(
            "README", datetime.date(2026, 3, 20), "README", "only tokens that were already scored may be trained on"
        ),
        Ruling("#1240", datetime.date(2026, 4, 2), "community", "a proof: all of 240 pairs violated causality"),
    )
    what = "Optimising a delta, bias or embedding on the loss of positions before scoring those positions."
    why = "It is training on the answer, only in fewer parameters."
    legal = "Fit on tokens that were scored before, one window at a time, and score what comes after."
    bad = (
        Example("a hidden delta", _slot(":", ":")),
        Example(
            "a bias on the logits",
            _slot(":", ":", "torch.zeros(1, 1, VOCAB, requires_grad=True)", "model.head(hidden) + delta"),
        ),
        Example("fitted on the whole window, scored on its second half", _slot(":", "SEQ // 2 :")),
    )
    good = (
        Example("fitted on the first half, scored on the second", _slot(": SEQ // 2", "SEQ // 2 :")),
        Example("no such state", script()),
        Example(
            "a delta fitted on training text before the artifact",
            script(
                before_saving="""delta = torch.zeros(64, requires_grad=True)
    optimizer = torch.optim.AdamW([delta], lr=1e-2)
    for begin in range(0, 8 * SEQ, SEQ):
        window = train_tokens[begin : begin + SEQ + 1]
        loss = F.cross_entropy(model.head(model.hidden(window[:-1].unsqueeze(0)) + delta)[0], window[1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.embed.weight.data += delta.detach()"""
            ),
        ),
    )
    subject = re.compile(r"slot|delta", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        return audited.flow.slot_updates
