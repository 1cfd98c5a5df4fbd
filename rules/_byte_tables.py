"""Byte tables over a tokenizer's pieces: is the space before a word counted by the table and once more by the sum?"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.findings import Step
from auditor.submission import Source, Submission

_MARKER = "\u2581"


def double_counted_spaces(submission: Submission) -> Iterator[tuple[Step, ...]]:
    """Pairs of a table that counts the leading space and a sum that adds it again, one per table."""
    sources = [source for source in submission.sources.values() if source.problem is None and _has_marker(source.text)]
    sums = [step for source in submission.sources.values() if source.problem is None for step in _space_sums(source)]
    if not sums:
        return
    for source in sources:
        for function in ast.walk(source.syntax):
            if isinstance(function, ast.FunctionDef) and _is_called(function.name, submission):
                for step in _inclusive_lines(function, source):
                    yield (step, sums[0])


def tables_from_files(submission: Submission) -> Iterator[Step]:
    """Lines that take a table of bytes per token, by that key, from a file that was loaded."""
    for source in submission.sources.values():
        if source.problem is not None or "base_bytes" not in source.text or ".load(" not in source.text:
            continue
        for node in ast.walk(source.syntax):
            if not (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)):
                continue
            if node.slice.value == "base_bytes":
                yield _step(source, node.lineno, "the table of bytes per token is read from a file")


def _has_marker(text: str) -> bool:
    return _MARKER in text or "u2581" in text.lower()


def _is_called(name: str, submission: Submission) -> bool:
    return any(f"{name}(" in source.text.replace(f"def {name}(", "") for source in submission.sources.values())


def _inclusive_lines(function: ast.FunctionDef, source: Source) -> Iterator[Step]:
    """Lines that give a piece with the marker the bytes of its text and one for the space, and note the space too."""
    for branch in ast.walk(function):
        if not (isinstance(branch, ast.If) and _tests_marker(branch.test)):
            continue
        notes_space = any(
            isinstance(s, ast.Assign) and isinstance(s.value, ast.Constant) and s.value.value in (True, 1)
            for s in branch.body
        )
        for statement in branch.body:
            if notes_space and isinstance(statement, ast.Assign) and _is_length_plus_one(statement.value):
                yield _step(source, statement.lineno, "the table counts the space before the word")


def _tests_marker(test: ast.expr) -> bool:
    return any(isinstance(node, ast.Constant) and node.value == _MARKER for node in ast.walk(test))


def _is_length_plus_one(value: ast.expr) -> bool:
    """``len(piece[1:].encode()) + 1``, either way round."""
    if not (isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add)):
        return False
    sides = (value.left, value.right)
    one = any(isinstance(side, ast.Constant) and side.value == 1 for side in sides)
    length = any(
        isinstance(side, ast.Call) and isinstance(side.func, ast.Name) and side.func.id == "len" for side in sides
    )
    return one and length


def _space_sums(source: Source) -> Iterator[Step]:
    """Lines that add ``space[target] & ~boundary[previous]`` to the bytes."""
    for statement in ast.walk(source.syntax):
        if isinstance(statement, ast.AugAssign | ast.Assign):
            for node in ast.walk(statement.value):
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd) and _is_space_gate(node):
                    yield _step(source, statement.lineno, "the sum adds the space again")


def _is_space_gate(node: ast.BinOp) -> bool:
    return (
        isinstance(node.left, ast.Subscript)
        and isinstance(node.right, ast.UnaryOp)
        and isinstance(node.right.op, ast.Invert)
        and isinstance(node.right.operand, ast.Subscript)
    )


def _step(source: Source, line: int, why: str) -> Step:
    return Step(source.name, line, source.lines[line - 1].strip(), why)
