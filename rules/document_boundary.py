"""One-token look-back across documents."""

from __future__ import annotations

import datetime

from auditor.findings import Condition, Severity, Status
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import script

_SMEAR = """

class Smear(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, h, input_ids):
        mixed = self.gate * h[:, :-1]
        {mask}
        return torch.cat([h[:, :1], h[:, 1:] + mixed], dim=1)


def attend(q, k, v, cu_seqlens):
    from flash_attn_interface import flash_attn_varlen_func

    return flash_attn_varlen_func(q, k, v, cu_seqlens_q=cu_seqlens, cu_seqlens_k=cu_seqlens, causal=True)


class SmearModel(Model):
    def __init__(self):
        super().__init__()
        self.smear = Smear()

    def hidden(self, x):
        h = self.smear(self.embed(x), x)
        return attend(h, h, h, (x.flatten() == 1).nonzero().flatten())
"""


def _smeared(mask: str) -> str:
    return script(helpers=_SMEAR.replace("{mask}", mask)).replace("model = Model()", "model = SmearModel()")


class DocumentBoundary(FlowRule):
    """Attention is isolated per document, and a shift by one token is not."""

    id = "document-boundary"
    title = "a one-token look-back crosses documents under isolated attention"
    condition = Condition.CAUSALITY
    severity = Severity.REVIEW
    contested = True
    rulings = (
        Ruling("#1797", datetime.date(2026, 4, 26), "cocohearts", "asked for the fix at BOS"),
        Ruling("#1988", datetime.date(2026, 4, 30), "community", "a local rule rather than a matter of causality"),
    )
    what = "A gated shift by one token without a mask at BOS, with variable-length attention."
    why = "The last token of one document reaches the first of the next."
    legal = "Multiply the shifted part by (input_ids[:, 1:] != BOS), in every forward."
    bad = (Example("no mask", _smeared("pass"), expected=Status.SUSPECTED),)
    good = (
        Example("masked at BOS", _smeared("mixed = mixed * (input_ids[:, 1:] != 1).unsqueeze(-1)")),
        Example("a flat stream", script()),
    )
    facts = ("document-boundary",)
