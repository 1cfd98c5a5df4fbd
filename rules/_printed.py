"""Which code prints the scores that are claimed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.audited import Audited
from auditor.claim import claimed_labels
from auditor.findings import Finding

_SCORE = re.compile(r"val_bpb|val_loss|bpb")
_LEAST = 8
"""Characters of a label; shorter ones are put together from parts."""


def unprinted(audited: Audited) -> Iterator[Finding]:
    """Lines of claimed scores that no text of the sources prints: other code made them."""
    sources = [source for source in audited.submission.sources.values() if source.problem is None]
    openings = {opening for source in sources for node in source.nodes for opening in _opening(node)}
    labels = {label for label in claimed_labels(audited) if len(label) >= _LEAST} if openings else set()
    for run in audited.runs:
        for score in run.scores:
            if score.label not in labels or any(score.label in source.text for source in sources):
                continue
            if not any(score.label.startswith(text) or text.startswith(score.label) for text in openings):
                labels.discard(score.label)
                yield Finding(f"no code in the folder prints {score.label!r}", score.file, score.line)


def _opening(node: ast.AST) -> Iterator[str]:
    """What a text that prints a score begins with; empty where a value comes first."""
    if isinstance(node, ast.JoinedStr):
        texts = [str(part.value) if isinstance(part, ast.Constant) else "" for part in node.values]
        if any(map(_SCORE.search, texts)):
            yield texts[0].strip()
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _SCORE.search(node.value):
        before, *values = re.split("[%{]", node.value)
        if values:
            yield before.strip()
