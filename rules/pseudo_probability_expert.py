"""Numbers about a distribution used as if they were scores of the token."""

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

_FRAME = """
def evaluate(model, val_tokens, base_bytes):
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    log_weights = torch.full((2,), math.log(0.5))
    for begin in range(0, val_tokens.numel() - 1, SEQ):
        window = val_tokens[begin : begin + SEQ + 1]
        x, y = window[:-1].unsqueeze(0), window[1:]
        with torch.no_grad():
            logp = F.log_softmax(model(x)[0], dim=-1)
        nll = -logp.gather(-1, y[:, None]).squeeze(-1)
        entropy = -(logp.exp() * logp).sum(-1)
        {mix}
        loss_sum += mixed.sum().item()
        byte_sum += base_bytes[y].sum().item()
        count += y.numel()
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
"""


def _mixed(mix: str) -> str:
    return script(evaluate=_FRAME.format(mix=mix))


class PseudoProbabilityExpert(FlowRule):
    """Entropy, confidence or distance enters a mixture of log-probabilities."""

    id = "pseudo-probability-expert"
    title = "a mixture component is no probability of the token"
    condition = Condition.NORMALISATION
    severity = Severity.VIOLATION
    rulings = (
        Ruling("#677", datetime.date(2026, 3, 27), "valerio-oai", "recommends the field guide's four conditions"),
        Ruling("#1017", datetime.date(2026, 3, 28), "community", "the field guide names the entropy expert"),
    )
    what = "Mixing entropy, confidence or a distance with negative log-likelihoods as one more expert."
    why = "exp(-entropy) is the same for every candidate: over the vocabulary it sums to V exp(-H), not to 1."
    legal = "Use such numbers for the weights of a mixture, fixed before the token is seen."
    bad = (
        Example(
            "entropy stacked with the loss",
            _mixed("mixed = -torch.logsumexp(torch.stack([-nll, -entropy], -1) + log_weights, -1)"),
        ),
        Example(
            "entropy in logaddexp", _mixed("mixed = -torch.logaddexp(-nll + log_weights[0], -entropy + log_weights[1])")
        ),
        Example(
            "entropy written with sum and exp",
            _mixed("mixed = -torch.log(0.5 * torch.exp(-nll) + 0.5 * torch.exp(-entropy))"),
        ),
    )
    good = (
        Example(
            "entropy sets the weight of a uniform expert",
            _mixed(
                "w = torch.sigmoid(entropy - 3.0)\n        mixed = -torch.log((1 - w) * torch.exp(-nll) + w / VOCAB)"
            ),
        ),
        Example("entropy is only measured", _mixed("mixed = nll + 0.0 * entropy.detach().mean().item()")),
        Example("no mixture", script()),
    )
    subject = re.compile(r"entropy", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        return audited.flow.pseudo_experts
