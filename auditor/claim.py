"""What a submission claims, and whether a piece of evidence bears on it.

Evidence against a number that nobody claims accuses nobody: a retracted score, or an update that runs only after the
claimed score was printed.
"""

from __future__ import annotations

import ast
import math
import re
from typing import TYPE_CHECKING

from auditor.audited import Audited

if TYPE_CHECKING:
    from auditor.findings import Step
    from auditor.flow import Evidence
    from auditor.submission import Source

_SCORE = re.compile(r"bpb|loss|nll|bits|ppl|perplexity|score|result|eval|final", re.IGNORECASE)
_DIAGNOSTIC = re.compile(r"[\"'][^\"']*(?:\bdiag|diagnostic|\bdebug|\bsample_)", re.IGNORECASE)
Places = tuple[tuple[str, int], ...]
_SIMPLE = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)
SAME = 6e-5
"""Bits per byte: claims are quoted to four digits."""
_NEAR = 1e-3
"""Relative distance of a claim that no log prints, such as a mean of runs, from the score that it stands for."""


def is_withdrawn(audited: Audited) -> bool:
    """Whether the metadata retract the score and put no other in its place."""
    metadata = audited.submission.metadata
    return metadata is not None and metadata.retracted and metadata.val_bpb is None


def is_printed_before(audited: Audited, evidence: Evidence) -> bool:
    """Whether every claimed score was printed before the update ran, by the order of statements in one function."""
    labels = claimed_labels(audited)
    return bool(labels) and all(_precedes(audited, label, evidence) for label in labels)


def is_about_a_score(audited: Audited, evidence: Evidence) -> bool:
    """Whether what is printed may be a score: not where the printed text names other quantities only."""
    statements = [_statement(audited, step) for step in evidence.path if step.why.startswith("the score")]
    printed = [text for text in statements if '"' in text]
    return not printed or any(_SCORE.search(text) for text in printed)


def is_in_a_claimed_score(audited: Audited, evidence: Evidence) -> bool:
    """Whether a statement that prints a claimed score, by its label, prints what carries the evidence.

    Where no statement is known to print a claimed score, any may that is no diagnostic by its own words.
    """
    labels = sorted(claimed_labels(audited))
    printed = re.compile(rf"[\"'\s](?:{'|'.join(map(re.escape, labels))})(?![\w-])") if labels else None

    def texts(places: Places) -> list[str]:
        return [_statement_at(audited, file, line) for file, line in places]

    def speaks_of_a_score(places: Places) -> bool:
        return not any(_DIAGNOSTIC.search(text) for text in texts(places))

    def claims(places: Places) -> bool:
        if printed is None or not any(printed.search(text) for text in texts(places)):
            return False
        return speaks_of_a_score(places) or any(_DIAGNOSTIC.search(f'"{label}') for label in labels)

    for is_meant in (claims, speaks_of_a_score):
        if any(map(is_meant, audited.flow.prints)):
            return not evidence.prints or any(map(is_meant, evidence.prints))
    return True


def _statement(audited: Audited, step: Step) -> str:
    """The text of a step with the lines that its statement goes on for."""
    return _statement_at(audited, step.file, step.line) or step.text


def _statement_at(audited: Audited, file: str, line: int) -> str:
    source = audited.submission.sources.get(file)
    if source is None:
        return ""
    starting = [node for node in source.nodes if isinstance(node, _SIMPLE) and node.lineno == line]
    last = max((node.end_lineno or line for node in starting), default=line)
    return "\n".join(source.lines[line - 1 : last])


def claimed_labels(audited: Audited) -> frozenset[str]:
    """Labels of the log lines that print claimed scores, or what is nearest to them; empty when one has none."""
    metadata = audited.submission.metadata
    claims = metadata.claimed_bpb if metadata is not None else ()
    scores = [score for run in audited.runs for score in run.scores]
    away = [min((abs(score.val_bpb - claim) for claim in claims), default=math.inf) for score in scores]
    least = min(away, default=math.inf)
    bound = SAME if least <= SAME else least if least <= _NEAR * max(claims, default=0.0) else -1.0
    labels = frozenset(score.label for score, distance in zip(scores, away, strict=True) if distance <= bound)
    return frozenset() if "" in labels else labels


def _precedes(audited: Audited, label: str, evidence: Evidence) -> bool:
    """Whether all statements that print the label stand before the update, or the call that leads to it."""
    places = [
        (name, number)
        for name, source in audited.submission.sources.items()
        for number, line in enumerate(source.lines, 1)
        if label in line
    ]
    return bool(places) and all(_is_before(audited, name, number, evidence) for name, number in places)


def _is_before(audited: Audited, file: str, line: int, evidence: Evidence) -> bool:
    source = audited.submission.sources[file]
    function = _innermost(source, line)
    if function is None:
        return False
    until = [(step.file, step.line) for step in evidence.path].index((evidence.file, evidence.line))
    steps = [step.line for step in evidence.path[1 : until + 1] if step.file == file]
    inside = [number for number in steps if _innermost(source, number) is function]
    return bool(inside) and line < min(inside)


def _innermost(source: Source, line: int) -> ast.FunctionDef | None:
    around = [
        node
        for node in source.nodes
        if isinstance(node, ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno, default=None)
