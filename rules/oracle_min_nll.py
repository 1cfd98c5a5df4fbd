"""The better of two scores, chosen after the token was seen."""

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

_UNIGRAM = "unigram = np.ones(VOCAB)"
_UPDATE = "unigram[tokens[t]] += 1"


def _choice(mixture: str) -> str:
    return scoring(setup=_UNIGRAM, mixture=mixture, update=_UPDATE)


class OracleMinNll(FlowRule):
    """Two scores of one token are compared, and the comparison decides which is credited."""

    id = "oracle-min-nll"
    title = "the better of two scores of a token is credited"
    condition = Condition.CAUSALITY
    also = (Condition.NORMALISATION,)
    severity = Severity.VIOLATION
    rulings = (
        Ruling(
            "#659", datetime.date(2026, 3, 25), "valerio-oai", "choosing after the fact is hindsight; gate by entropy"
        ),
    )
    what = "Crediting the minimum of two losses of a token, by min(), where() or an if."
    why = "Which expert is better is known only once the token is; the maximum of two distributions sums above 1."
    legal = "Choose the expert, or the weights, from the prefix: entropy, counts, past losses."
    bad = (
        Example("maximum of two probabilities", _choice("p = max(p_model, unigram[tokens[t]] / unigram.sum())")),
        Example(
            "an if on the two",
            _choice(
                """p_other = unigram[tokens[t]] / unigram.sum()
        p = p_model
        if p_other > p_model:
            p = p_other"""
            ),
        ),
        Example(
            "where() on a vector of losses",
            script(
                evaluate="""
def evaluate(model, val_tokens, base_bytes):
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    for begin in range(0, val_tokens.numel() - 1, SEQ):
        window = val_tokens[begin : begin + SEQ + 1]
        x, y = window[:-1].unsqueeze(0), window[1:]
        with torch.no_grad():
            logits = model(x)[0]
        sharp = F.cross_entropy(logits * 1.1, y, reduction="none")
        flat = F.cross_entropy(logits * 0.9, y, reduction="none")
        nll = torch.where(sharp < flat, sharp, flat)
        loss_sum += nll.sum().item()
        byte_sum += base_bytes[y].sum().item()
        count += y.numel()
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
"""
            ),
        ),
    )
    good = (
        Example(
            "entropy chooses",
            _choice(
                """entropy = -(probs * np.log(probs + 1e-12)).sum()
        p = unigram[tokens[t]] / unigram.sum() if entropy > 6.0 else p_model"""
            ),
        ),
        Example(
            "a mixture in logarithms, scaled by the greater of the two",
            _choice(
                """a, b = math.log(0.9 * p_model), math.log(0.1 * unigram[tokens[t]] / unigram.sum())
        m = max(a, b)
        p = math.exp(m + math.log(math.exp(a - m) + math.exp(b - m)))"""
            ),
        ),
        Example("a fixed mixture", _choice("p = 0.9 * p_model + 0.1 * unigram[tokens[t]] / unigram.sum()")),
        Example(
            "a minimum that clips weights in the quantiser",
            script(before_saving="limit = torch.minimum(model.head.weight.abs().max(), torch.tensor(1.0))"),
        ),
    )
    subject = re.compile(r"ngram|mixer|mix|expert|oracle|ppm", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        return audited.flow.oracle_choices
