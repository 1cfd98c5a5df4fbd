"""Weights that learn from tokens which are scored afterwards."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Severity
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import script
from rules._training import ADAPT, CREDIT, SCORE_FIRST, by_gradient, chunked, in_scored_epochs

if TYPE_CHECKING:
    from auditor.flow import Evidence

_MANUAL = chunked(
    f"""loss = F.cross_entropy(model(x[:, : SEQ // 2])[0], y[: SEQ // 2])
        grads = torch.autograd.grad(loss, list(model.parameters()))
        for p, g in zip(model.parameters(), grads):
            p.data -= 1e-3 * g
        nll = score(x, y)
        {CREDIT}"""
)

_PHASED = script(
    helpers=ADAPT,
    evaluate="""
def evaluate(model, val_tokens, base_bytes):
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    phase = 64 * SEQ
    for first in range(0, val_tokens.numel() - 1, phase):
        scored = []
        for begin in range(first, min(first + phase, val_tokens.numel() - 1), SEQ):
            chunk = val_tokens[begin : begin + SEQ + 1]
            with torch.no_grad():
                nll = F.cross_entropy(model(chunk[:-1].unsqueeze(0))[0], chunk[1:], reduction="none")
            loss_sum += nll.sum().item()
            byte_sum += base_bytes[chunk[1:]].sum().item()
            count += chunk.numel() - 1
            scored.append(chunk)
        for chunk in scored:
            adapt(model, chunk)
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
""",
)


class TttBeforeScore(FlowRule):
    """An update of weights by validation tokens precedes the score of those tokens."""

    id = "ttt-before-score"
    title = "weights are trained on validation tokens before those are scored"
    condition = Condition.SCORE_FIRST
    also = (Condition.CAUSALITY,)
    severity = Severity.VIOLATION
    rulings = (
        Ruling(
            "README", datetime.date(2026, 3, 20), "README", "only tokens that were already scored may be trained on"
        ),
        Ruling("#677", datetime.date(2026, 3, 27), "valerio-oai", "score first, then adapt"),
    )
    what = "Any change of weights by a validation token before that token's score is final."
    why = "A model that has trained on a token knows it; its score then measures memory."
    legal = "Score a chunk without gradient, add the scores up, then train on that chunk."
    bad = (
        Example(
            "adapt to the whole stream, then score it", script(helpers=ADAPT, before_scoring="adapt(model, val_tokens)")
        ),
        Example(
            "each chunk is trained on and then scored",
            chunked(f"""step(x, y)
        nll = score(x, y)
        {CREDIT}"""),
        ),
        Example("a manual update by half of the chunk", _MANUAL),
        Example(
            "the score comes from the last of three steps",
            chunked(f"""for _ in range(3):
            nll = score(x, y)
            step(x, y)
        {CREDIT}"""),
        ),
    )
    good = (
        Example("score, then train", SCORE_FIRST),
        Example("phases that train on scored documents only", _PHASED),
        Example(
            "several epochs over a chunk after its score",
            chunked(f"""nll = score(x, y)
        {CREDIT}
        for _ in range(3):
            step(x, y)"""),
        ),
        Example("no test-time training", script()),
        Example("the adapting function is there and never called", script(helpers=ADAPT)),
    )
    subject = re.compile(r"ttt|test_time|adapt|lora", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        found = audited.flow.updates_before_score
        return tuple(item for item in found if by_gradient(item) and not in_scored_epochs(audited, item))
