"""Compile warm-up with validation tokens."""

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

_WARM = re.compile(r"warm_?up|throw_?away", re.IGNORECASE)
_WARMUP = """throwaway = Model()
    optimizer = torch.optim.SGD(throwaway.parameters(), lr=0.0)
    rows = {rows}
    loss = F.cross_entropy(throwaway(rows[None, :-1])[0], rows[1:])
    loss.backward()
    optimizer.step()
    del throwaway"""


class EvalWarmupOnVal(FlowRule):
    """A backward pass on validation tokens before scoring, on weights that do not reach the score."""

    id = "eval-warmup-on-val"
    title = "compile warm-up trains on validation tokens"
    condition = Condition.SCORE_FIRST
    severity = Severity.REVIEW
    contested = True
    rulings = (Ruling("#1530", datetime.date(2026, 4, 12), "community", "disputed; merged with it"),)
    what = "Running backward and step on validation tokens before they are scored, even if the result is thrown away."
    why = "Nothing but the author's care keeps the result out of the score."
    legal = "Warm up on random tokens."
    bad = (
        Example("rows of the validation stream", script(before_scoring=_WARMUP.format(rows="val_tokens[: SEQ + 1]"))),
    )
    good = (Example("random rows", script(before_scoring=_WARMUP.format(rows="torch.randint(0, VOCAB, (SEQ + 1,))"))),)
    subject = re.compile(r"warmup|warm_up", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        return tuple(item for item in audited.flow.warmups if _warms_up(audited, item))


def _warms_up(audited: Audited, evidence: Evidence) -> bool:
    """Whether the lines before the update speak of warm-up: honest test-time training learns, too, after the score."""
    source = audited.submission.sources.get(evidence.file)
    lines = source.lines[max(0, evidence.line - 40) : evidence.line] if source is not None else ()
    return any(_WARM.search(line) for line in lines)
