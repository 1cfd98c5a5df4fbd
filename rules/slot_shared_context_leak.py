"""A delta shared by overlapping windows of one batch."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Severity, Status
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import script

if TYPE_CHECKING:
    from auditor.flow import Evidence

_SHARED = """
def evaluate(model, val_tokens, base_bytes):
    stride, batch = 64, 32
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    starts = list(range(0, val_tokens.numel() - SEQ - 1, stride))
    for first in range(0, len(starts), batch):
        windows = torch.stack([val_tokens[s : s + SEQ + 1] for s in starts[first : first + batch]])
        x, y = windows[:, :-1], windows[:, 1:]
        with torch.no_grad():
            hidden = model.hidden(x)
        delta = torch.zeros({shape}, 1, 64, requires_grad=True)
        optimizer = torch.optim.AdamW([delta], lr=1e-2)
        for _ in range(8):
            logits = model.head(hidden + delta)
            loss = F.cross_entropy(logits[:, :-stride].flatten(0, 1), y[:, :-stride].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            logits = model.head(hidden + delta)[:, -stride:]
            nll = F.cross_entropy(logits.flatten(0, 1), y[:, -stride:].flatten(), reduction="none")
        loss_sum += nll.sum().item()
        byte_sum += base_bytes[y[:, -stride:]].sum().item()
        count += nll.numel()
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
"""


class SlotSharedContextLeak(FlowRule):
    """The mask leaves out each window's own targets, but the context of the next window holds them."""

    id = "slot-shared-context-leak"
    title = "one delta is fitted on windows whose contexts hold each other's targets"
    condition = Condition.CAUSALITY
    severity = Severity.REVIEW
    contested = True
    rulings = (
        Ruling("#1336", datetime.date(2026, 4, 5), "community", "argued to be causal, window by window; never ruled"),
    )
    what = "A delta with batch axis 1, fitted on the contexts of a batch of overlapping windows."
    why = "With stride 64, 31 of 32 windows are fitted on tokens that the same batch scores."
    legal = "One delta per window, or one window at a time."
    bad = (
        Example(
            "one delta for 32 windows", script(evaluate=_SHARED.replace("{shape}", "1")), expected=Status.SUSPECTED
        ),
    )
    good = (Example("one delta for each window", script(evaluate=_SHARED.replace("{shape}", "x.shape[0]"))),)
    subject = re.compile(r"slot|delta", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """State without a batch axis that was fitted on some positions of a batch and scores others.

        That the windows of the batch overlap is assumed.
        """
        found = (*audited.flow.slot_updates, *audited.flow.adaptations)
        return tuple(
            replace(item, message=self.title, certainty=type(item.certainty)(Status.SUSPECTED.value))
            for item in found
            if item.per_row is False
        )
