"""Documents scored out of order with state that carries over."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from rules._functions import functions
from rules._training import CREDIT, SCORE_FIRST, chunked

_SCORES = re.compile(r"eval|score|ttt", re.IGNORECASE)
_ORDER = re.compile(r"randperm|shuffle|\bsorted\([^\n]*(?:len|key)|\.sort\(key|argsort\(")


class SinglePassLeftToRight(Rule):
    """Scored chunks are visited in another order than the stream's while weights learn."""

    id = "single-pass-left-to-right"
    title = "later text is scored, and learned from, before earlier text"
    condition = Condition.SINGLE_PASS
    severity = Severity.REVIEW
    rulings = (
        Ruling("#1017", datetime.date(2026, 3, 28), "community", "the field guide asks for one left-to-right pass"),
        Ruling(
            "#1610", datetime.date(2026, 4, 15), "cocohearts", "accepted: documents sorted by length, in a work queue"
        ),
    )
    what = "Sorting or shuffling what is scored while what was scored changes the scorer."
    why = "An earlier document is then predicted with knowledge of a later one."
    legal = "Go through the stream in order; accepted records with test-time training sort documents by length."
    bad = (
        Example(
            "chunks in random order",
            chunked(
                f"""begin = int(order[begin // SEQ]) * SEQ
        chunk = val_tokens[begin : begin + SEQ + 1]
        x, y = chunk[:-1].unsqueeze(0), chunk[1:]
        nll = score(x, y)
        {CREDIT}
        step(x, y)""",
                before="order = torch.randperm((val_tokens.numel() - 1 + SEQ - 1) // SEQ)",
            ),
            expected=Status.SUSPECTED,
        ),
    )
    good = (Example("in order", SCORE_FIRST),)

    def check(self, audited: Audited) -> RuleResult:
        """Functions that sort or shuffle and train in one body; the order of calls is not followed."""
        return self.judge(_reordered(audited), Status.SUSPECTED)


def _reordered(audited: Audited) -> Iterator[Finding]:
    for source, node, text in functions(audited.submission):
        order = _ORDER.search(text) if _SCORES.search(node.name) and ".backward(" in text else None
        if order:
            line = node.lineno + text.count("\n", 0, order.start())
            yield Finding("what is scored while weights learn is put into another order", source.name, line)
