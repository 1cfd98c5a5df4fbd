"""Test-time training: which rule an update belongs to, and pieces of scripts for the examples."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from rules._scripts import script

if TYPE_CHECKING:
    from auditor.audited import Audited
    from auditor.flow import Evidence


_GRADIENT = re.compile(r"\.step\(|grad|\blr\b|-=|\badd_\(|\bsub_\(|backward")
_EPOCH = re.compile(r"epoch|pass|round", re.IGNORECASE)


def by_gradient(evidence: Evidence) -> bool:
    """Whether the weights were moved by a gradient step rather than written by a quantiser."""
    text = next((step.text for step in evidence.path if (step.file, step.line) == (evidence.file, evidence.line)), "")
    return bool(_GRADIENT.search(text))


def in_scored_epochs(audited: Audited, evidence: Evidence) -> bool:
    """Whether the update, or a call on the way to it, stands in a loop over epochs that also adds scores up."""
    places = {(step.file, step.line) for step in evidence.path}
    return any(
        (name, line) in places
        for name, source in audited.submission.sources.items()
        if source.problem is None
        for loop in source.nodes
        if isinstance(loop, ast.For) and _EPOCH.search(ast.unparse(loop.target)) and _adds_up(loop)
        for line in range(loop.lineno, (loop.end_lineno or loop.lineno) + 1)
    )


def _adds_up(loop: ast.For) -> bool:
    """A chunk loop inside, with sums of credited bytes: not an adapting function's own epochs."""
    inner = any(isinstance(node, ast.For) for statement in loop.body for node in ast.walk(statement))
    sums = {ast.unparse(node.target) for node in ast.walk(loop) if isinstance(node, ast.AugAssign)}
    return inner and any("byte" in name for name in sums)


ADAPT = """

def adapt(model, tokens, epochs=1, lr=1e-3):
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    for epoch in range(epochs):
        for begin in range(0, tokens.numel() - 1, SEQ):
            window = tokens[begin : begin + SEQ + 1]
            loss = F.cross_entropy(model(window[:-1].unsqueeze(0))[0], window[1:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
"""
"""``adapt(model, tokens)`` trains on all of ``tokens``."""


def chunked(body: str, before: str = "pass", after: str = "pass", helpers: str = "") -> str:
    """A script whose evaluation goes through the stream in chunks.

    Args:
        body: statements for one chunk ``x``, ``y``; they must add to ``loss_sum``, ``byte_sum`` and ``count``; indented
            by eight. ``step(x, y)`` trains on a chunk, ``score(x, y)`` gives its losses without gradient.
        before: statements before the loop; indented by four.
        after: statements after it; indented by four.
        helpers: definitions before.
    """
    evaluate = f"""
def evaluate(model, val_tokens, base_bytes):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    loss_sum, byte_sum, count = 0.0, 0.0, 0

    def score(x, y):
        with torch.no_grad():
            return F.cross_entropy(model(x)[0], y, reduction="none")

    def step(x, y):
        loss = F.cross_entropy(model(x)[0], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    {before.strip()}
    for begin in range(0, val_tokens.numel() - 1, SEQ):
        chunk = val_tokens[begin : begin + SEQ + 1]
        x, y = chunk[:-1].unsqueeze(0), chunk[1:]
        {body.strip()}
    {after.strip()}
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
"""
    return script(evaluate, helpers)


CREDIT = """loss_sum += nll.sum().item()
        byte_sum += base_bytes[y].sum().item()
        count += y.numel()"""
SCORE_FIRST = chunked(f"""nll = score(x, y)
        {CREDIT}
        step(x, y)""")
