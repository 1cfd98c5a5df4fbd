"""The places of a script that add up bytes of targets, evaluated for one token as the target.

What the tables are called shows in the shape of ``space[target] & ~boundary[previous]`` and of the look-up in the table
of bytes by the same target beside it; identifiers mean nothing.
"""

from __future__ import annotations

import ast
import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.concrete import UNKNOWN, Environment, Interpreter
from auditor.submission import Source

_MOST = 24
"""Sums that are looked at in one file."""
_SHIFT = 64.0
_COMPOUND = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.If, ast.With, ast.Try)


@dataclass(frozen=True, slots=True)
class Place:
    """A statement that sums up ``value``, and the statements before it in its block."""

    function: ast.FunctionDef
    before: tuple[ast.stmt, ...]
    statement: ast.stmt
    value: ast.expr


class ByteSums:
    """Evaluates the sums of some sources with given tables, float64 and bool arrays over the sample tokens."""

    def __init__(self, sources: Sequence[Source], counts: Any, spaces: Any, boundary: Any) -> None:
        self._tables = {"bytes": counts, "spaces": spaces, "boundary": boundary}
        self._names: dict[ast.AST | None, dict[str, str]] = {None: {}}
        self._helpers: set[str] = set()
        for source in sources:
            lines = [gate[0].lineno for node in source.nodes if (gate := _gate(node)) is not None]
            for node in source.nodes:
                if isinstance(node, ast.FunctionDef) and any(_holds(node, line) for line in lines):
                    self._learn_names(node)
        self._values: dict[str, Any] = {}
        self._interpreter = Interpreter([source.syntax for source in sources], self._guess)

    def candidates(self, source: Source) -> Iterator[Place]:
        """Sums in blocks that mention a table, or a function that does."""
        mentions = sorted({line for node in source.nodes if (line := self._mentioned(node))})
        seen: set[int] = set()
        for function in source.nodes:
            if not isinstance(function, ast.FunctionDef) or not _holds_any(function, mentions):
                continue
            for body in _blocks(function):
                first = next((i for i, statement in enumerate(body) if _holds_any(statement, mentions)), len(body))
                for at in range(first, len(body)):
                    value = _summed(body[at])
                    if value is not None and id(body[at]) not in seen and len(seen) < _MOST:
                        seen.add(id(body[at]))
                        yield Place(_innermost(function, body[at]), tuple(body[:at]), body[at], value)

    def added(self, place: Place, token: int, previous: int) -> float | None:
        """What is added when ``token`` is the target after ``previous``; None where it is no sum of bytes."""
        here = self._evaluated(place, token, previous, 0.0)
        elsewhere = self._evaluated(place, token, previous, _SHIFT)
        # A number that does not move with the table counts something else.
        return here if here is not None and elsewhere is not None and elsewhere > here else None

    def _evaluated(self, place: Place, token: int, previous: int, shift: float) -> float | None:
        self._values = {
            **{name: table.copy() for name, table in self._tables.items()},
            "target": np.array([float(token)]),
            "previous": np.array([float(previous)]),
        }
        self._values["bytes"] += shift
        env = Environment({}, self._interpreter.top, place.function)
        for _ in self._interpreter.try_block(place.before, env):
            pass
        value = self._interpreter.try_value(place.value, env)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        return float(value) if isinstance(value, int | float | np.generic) else None

    # -- names -------------------------------------------------------------------------------------------------------

    def _guess(self, name: str, function: ast.AST | None) -> Any:
        role = self._names.get(function, {}).get(name) or self._names[None].get(name)
        return self._values.get(role, UNKNOWN) if role is not None else UNKNOWN

    def _mentioned(self, node: ast.AST) -> int:
        """The line of a name of a table or of a function that looks into one, else 0."""
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        known = bool(name) and (name in self._names[None] or name in self._helpers)
        return node.lineno if known and isinstance(node, ast.Name | ast.Attribute) else 0

    def _learn_names(self, function: ast.FunctionDef) -> None:
        """Tables by any name that they have somewhere; targets by their names in this function."""
        roles: dict[str, str] = {}
        for body in _blocks(function):
            for at, statement in enumerate(body):
                if isinstance(statement, _COMPOUND):
                    continue
                for space, boundary in filter(None, map(_gate, ast.walk(statement))):
                    looked_up = _look_up(body[: at + 1], space)
                    tables = {"spaces": space.value, "boundary": boundary.value}
                    if looked_up is not None:
                        tables["bytes"] = looked_up.value
                    self._names[None].update({_last(node): role for role, node in tables.items()})
                    roles.update({_last(space.slice): "target", _last(boundary.slice): "previous"})
        if roles:
            self._names[function] = {name: role for name, role in roles.items() if name}
            self._helpers.add(function.name)


def _blocks(function: ast.AST) -> Iterator[Sequence[ast.stmt]]:
    """Every list of statements in a function, nested functions left to themselves."""
    for node in ast.walk(function):
        for field in ("body", "orelse", "finalbody"):
            body = getattr(node, field, None)
            if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                yield body


def _holds(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _holds_any(node: ast.stmt, lines: Sequence[int]) -> bool:
    """Whether a statement holds one of some lines, which are in order."""
    at = bisect.bisect_left(lines, node.lineno)
    return at < len(lines) and _holds(node, lines[at])


def _innermost(function: ast.FunctionDef, statement: ast.stmt) -> ast.FunctionDef:
    """The function whose own names a statement sees."""
    inside = [n for n in ast.walk(function) if isinstance(n, ast.FunctionDef) and _holds(n, statement.lineno)]
    return max(inside, key=lambda n: n.lineno)


def _summed(statement: ast.stmt) -> ast.expr | None:
    """What ``name += value`` or ``name = name + value`` adds; the last ``value.sum()`` of another statement."""
    if isinstance(statement, _COMPOUND):
        return None
    match statement:
        case ast.AugAssign(op=ast.Add(), value=ast.Call() as value):
            return value
        case ast.Assign(
            targets=[ast.Name(id=name)], value=ast.BinOp(left=ast.Name(id=same), op=ast.Add(), right=value)
        ):
            if name == same:
                return value
    calls = [n for n in ast.walk(statement) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]
    return next((n for n in reversed(calls) if isinstance(n.func, ast.Attribute) and n.func.attr == "sum"), None)


def _gate(node: ast.AST) -> tuple[ast.Subscript, ast.Subscript] | None:
    """The two sides of ``space[target] & ~boundary[previous]``."""
    match node:
        case ast.BinOp(
            left=ast.Subscript() as space,
            op=ast.BitAnd(),
            right=ast.UnaryOp(op=ast.Invert(), operand=ast.Subscript() as boundary),
        ):
            return space, boundary
    return None


def _look_up(statements: Sequence[ast.stmt], space: ast.Subscript) -> ast.Subscript | None:
    """The nearest look-up by the same target in another table."""
    index, own = ast.dump(space.slice), ast.dump(space.value)
    for statement in reversed(statements):
        for node in ast.walk(statement):
            if isinstance(node, ast.Subscript) and ast.dump(node.slice) == index and ast.dump(node.value) != own:
                return node
    return None


def _last(node: ast.expr) -> str:
    """The last component of a name."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
