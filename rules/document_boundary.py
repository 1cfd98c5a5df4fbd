"""One-token look-back across documents."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from auditor.submission.switches import effective
from rules._functions import functions
from rules._scripts import script

_SWITCH = "SMEAR_GATE_ENABLED"
_GATE = r"(?:gate|smear)\w*"
_PAST = r"\[:,\s*:-1"
_SHIFT = re.compile(
    rf"{_GATE}[^\n=]*\*[^\n]*{_PAST}|{_PAST}[^\n]*\][^\n=]*\*[^\n]*{_GATE}"
    # the gate under a name of its own, on the line before
    rf"|\b(\w+)\s*=[^\n]*{_GATE}[^\n]*\n[^\n]*(?<!\w)\1\s*\*\s*\w+{_PAST}",
    re.IGNORECASE,
)
_MASK = re.compile(r"bos|doc_mask|boundary|document|\[:,\s*1:\]\s*!=", re.IGNORECASE)

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


class DocumentBoundary(Rule):
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
    bad = (
        Example("no mask", _smeared("pass"), expected=Status.SUSPECTED),
        Example(
            "no mask, and a gate that has a name",
            _smeared("pass").replace(
                "mixed = self.gate * h[:, :-1]", "g = torch.sigmoid(self.gate)\n        mixed = g * h[:, :-1]"
            ),
            expected=Status.SUSPECTED,
        ),
    )
    good = (
        Example("masked at BOS", _smeared("mixed = mixed * (input_ids[:, 1:] != 1).unsqueeze(-1)")),
        Example("a flat stream", script()),
    )

    def check(self, audited: Audited) -> RuleResult:
        """Functions that shift hidden states by a gate without a mask, where attention has variable lengths."""
        if not any("cu_seqlens" in source.text for source in audited.submission.sources.values()):
            return self.not_applicable("attention is not isolated by document")
        switch = effective(audited.submission, _SWITCH)
        dormant = switch is not None and not switch.is_on
        return self.judge(_unmasked(audited, dormant=dormant), Status.SUSPECTED)


def _unmasked(audited: Audited, *, dormant: bool) -> Iterator[Finding]:
    for source, node, text in functions(audited.submission):
        shift = _SHIFT.search(text)
        if shift and not _MASK.search(text):
            line = node.lineno + text.count("\n", 0, shift.start())
            yield Finding("the last token of a document reaches the next one's first", source.name, line, (), dormant)
