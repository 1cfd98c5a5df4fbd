"""Byte models mixed with token models byte by byte."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Severity
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import EVALUATE, script

if TYPE_CHECKING:
    from auditor.flow import Evidence

_PPM = """

class BytePpm:
    def __init__(self):
        self.counts = {}

    def log_prob(self, context, byte):
        row = self.counts.get(context, {})
        return math.log((row.get(byte, 0) + 1.0) / (sum(row.values()) + 256.0))

    def update(self, context, byte):
        row = self.counts.setdefault(context, {})
        row[byte] = row.get(byte, 0) + 1
"""

_MIXED = """
def evaluate(model, val_tokens, base_bytes):
    pieces = np.load("pieces.npy", allow_pickle=True)
    ppm, context = BytePpm(), b""
    loss_sum, byte_sum = 0.0, 0
    for begin in range(0, val_tokens.numel() - 1, SEQ):
        window = val_tokens[begin : begin + SEQ + 1]
        with torch.no_grad():
            logp = F.log_softmax(model(window[:-1].unsqueeze(0))[0], dim=-1)
        token_logp = logp.gather(-1, window[1:, None]).squeeze(-1).tolist()
        for lp, token in zip(token_logp, window[1:].tolist()):
            text = pieces[token]
            {spread}
            for byte, byte_logp in zip(text, per_byte):
                other = ppm.log_prob(context[-4:], byte)
                mixed = {mix}
                loss_sum -= mixed
                ppm.update(context[-4:], byte)
                context += bytes([byte])
            byte_sum += len(text)
    return loss_sum / (val_tokens.numel() - 1), loss_sum / math.log(2.0) / byte_sum
"""


def _mixture(spread: str, mix: str) -> str:
    return script(helpers=_PPM, evaluate=_MIXED.format(spread=spread, mix=mix))


_LOGADDEXP = "np.logaddexp(math.log(0.7) + byte_logp, math.log(0.3) + other)"


class ByteMixtureNotTokenNormalised(FlowRule):
    """A token's log-probability is divided by its number of bytes and mixed with a byte model."""

    id = "byte-mixture-not-token-normalised"
    title = "a byte model is mixed with a token's probability spread over its bytes"
    condition = Condition.NORMALISATION
    severity = Severity.VIOLATION
    rulings = (
        Ruling("#1902", datetime.date(2026, 4, 28), "cocohearts", "rows with byte mixtures are excluded under C2"),
    )
    what = "Spreading log p(token) evenly over its bytes and mixing each byte with a byte-level model."
    why = "The product over the bytes does not sum to one over the tokens."
    legal = "Score with a byte vocabulary, or sum the byte model over every token that begins alike."
    bad = (
        Example("an even share for each byte", _mixture("per_byte = [lp / len(text)] * len(text)", _LOGADDEXP)),
        Example("np.repeat of the share", _mixture("per_byte = np.repeat(lp / len(text), len(text))", _LOGADDEXP)),
        Example(
            "mixed as probabilities",
            _mixture(
                "share = lp / max(len(text), 1)\n            per_byte = [share for _ in text]",
                "math.log(0.7 * math.exp(byte_logp) + 0.3 * math.exp(other))",
            ),
        ),
    )
    good = (
        Example("tokens only", script()),
        Example("a byte vocabulary", script(evaluate=EVALUATE).replace("VOCAB = 1024", "VOCAB = 256")),
        Example("the byte model is only measured", script(helpers=_PPM)),
    )
    subject = re.compile(r"ppm|byte_log|byte_lp|bytewise", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        return audited.flow.byte_spreads
