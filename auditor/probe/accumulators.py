"""Functions that add up losses number by number: loops with logarithms and a sum, of which no tensor knows."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from contextlib import suppress

from auditor.submission import Source, UnparsableSourceError

_LOGARITHMS = frozenset({"log", "log2", "log1p"})
_MOST_VARIABLES = 12


def accumulators_of(sources: Iterable[Source]) -> Iterator[tuple[str, str]]:
    """Names of top-level functions with the variables that their loops add numbers to, in order of appearance."""
    for source in sources:
        with suppress(UnparsableSourceError):
            yield from accumulators_in(source.syntax)


def accumulators_in(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Those of one script."""
    for function in tree.body:
        if isinstance(function, ast.FunctionDef):
            yield from ((function.name, name) for name in _variables(function))


def _variables(function: ast.FunctionDef) -> list[str]:
    logarithms = {name for node in ast.walk(function) for name in _aliases(node)}
    found: dict[str, None] = {}
    for loop in ast.walk(function):
        if isinstance(loop, (ast.For, ast.While)) and any(_calls(node, logarithms) for node in ast.walk(loop)):
            found |= dict.fromkeys(name for node in ast.walk(loop) for name in _added_to(node))
    return list(found)[:_MOST_VARIABLES]


def _aliases(node: ast.AST) -> Iterator[str]:
    """Names that are given a logarithm of the module ``math``, as in ``ln = math.log``."""
    if isinstance(node, ast.Assign) and _is_of_math(node.value):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _calls(node: ast.AST, logarithms: Iterable[str]) -> bool:
    """Whether it is the logarithm of something that is computed; that of two is a unit."""
    if not isinstance(node, ast.Call) or all(isinstance(each, ast.Constant) for each in node.args):
        return False
    called = node.func
    return _is_of_math(called) or (isinstance(called, ast.Name) and called.id in logarithms)


def _is_of_math(node: ast.expr) -> bool:
    named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "math"
    return named and isinstance(node, ast.Attribute) and node.attr in _LOGARITHMS


def _added_to(node: ast.AST) -> Iterator[str]:
    is_sum = isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub))
    if is_sum and isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield node.target.id
