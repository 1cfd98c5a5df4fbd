"""A second scoring pass with state that has seen the tokens."""

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

_PASSES = """
def evaluate(model, val_tokens, base_bytes):
    tokens = val_tokens.numpy()
    p_model = np.zeros(len(tokens))
    for begin in range(0, val_tokens.numel() - 1, SEQ):
        window = val_tokens[begin : begin + SEQ + 1]
        with torch.no_grad():
            logp = F.log_softmax(model(window[:-1].unsqueeze(0))[0], dim=-1)
        p_model[begin + 1 : begin + len(window)] = logp.gather(-1, window[1:, None]).squeeze(-1).exp().numpy()
    {second}
    loss_sum = -np.log(np.maximum(p[1:], 1e-12)).sum()
    byte_sum = float(base_bytes[val_tokens[1:]].sum())
    return loss_sum / (len(tokens) - 1), loss_sum / math.log(2.0) / byte_sum
"""


def _second(statements: str) -> str:
    return script(evaluate=_PASSES.format(second=statements.strip()))


class TwoPassRescore(FlowRule):
    """Stored probabilities are mixed again with a table built from all tokens."""

    id = "two-pass-rescore"
    title = "tokens are scored again with state that has seen them"
    condition = Condition.SINGLE_PASS
    also = (Condition.SCORE_FIRST, Condition.CAUSALITY)
    severity = Severity.VIOLATION
    rulings = (
        Ruling(
            "#677", datetime.date(2026, 3, 27), "valerio-oai", "two-pass submissions are closed, leave-one-out included"
        ),
    )
    what = "Scoring, building a cache from what was scored, and scoring the same tokens again with it."
    why = "In the second pass the cache holds the very tokens, and those that follow them."
    legal = "One pass: look up, score, then add the token to the cache."
    bad = (
        Example(
            "counts over the whole stream, then a mixture",
            _second("""counts = np.bincount(tokens, minlength=VOCAB)
    p = 0.8 * p_model + 0.2 * counts[tokens] / counts.sum()"""),
        ),
        Example(
            "leave-one-out",
            _second("""pairs = np.zeros((VOCAB, VOCAB))
    np.add.at(pairs, (tokens[:-1], tokens[1:]), 1)
    expert = np.zeros(len(tokens))
    expert[1:] = (pairs[tokens[:-1], tokens[1:]] - 1) / np.maximum(pairs[tokens[:-1]].sum(-1) - 1, 1)
    p = 0.8 * p_model + 0.2 * expert"""),
        ),
        Example(
            "a dictionary of all followers",
            _second("""followers = {}
    for t in range(1, len(tokens)):
        row = followers.setdefault(int(tokens[t - 1]), {})
        row[int(tokens[t])] = row.get(int(tokens[t]), 0) + 1
    p = p_model.copy()
    for t in range(1, len(tokens)):
        row = followers[int(tokens[t - 1])]
        p[t] = 0.8 * p_model[t] + 0.2 * row[int(tokens[t])] / sum(row.values())"""),
        ),
    )
    good = (
        Example(
            "one pass over stored probabilities, counting as it goes",
            _second("""counts = np.ones(VOCAB)
    p = p_model.copy()
    for t in range(1, len(tokens)):
        p[t] = 0.8 * p_model[t] + 0.2 * counts[tokens[t]] / counts.sum()
        counts[tokens[t]] += 1"""),
        ),
        Example("stored probabilities, only summed", _second("p = p_model")),
        Example(
            "look up, score, count",
            scoring(
                setup="counts = np.ones(VOCAB)",
                mixture="p = 0.8 * p_model + 0.2 * counts[tokens[t]] / counts.sum()",
                update="counts[tokens[t]] += 1",
            ),
        ),
    )
    subject = re.compile(r"two_pass|rescore|second_pass|full_rescore", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        return audited.flow.rescores
