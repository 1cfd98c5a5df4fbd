"""Evaluate the expressions of a packed script's loader: literals, names, operators, indexing.

Calls are left to :mod:`~auditor.submission.unwrap`.
"""

from __future__ import annotations

import ast
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from auditor.submission.pure import LARGEST, PATH_ATTRIBUTES, Bound, Dotted, Unknown, bounded, constant
from auditor.submission.values import NOTHING, Function, Trace, Value, deepest, wrap

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.BitXor: operator.xor,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


class SpentError(Exception):
    """The step budget is used up."""


class Expressions(ABC):
    """Evaluation of expressions against the names bound so far, within a budget of steps."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.names: dict[str, Value] = {}

    @abstractmethod
    def call(self, node: ast.Call) -> Value:
        """Evaluate a call, with whatever effect it has on the interpreter's memory."""

    @abstractmethod
    def assign(self, target: ast.expr, value: Value) -> None:
        """Bind a target."""

    def spend(self) -> None:
        """Take one step.

        Raises:
            SpentError: there is none left.
        """
        self.steps -= 1
        if self.steps < 0:
            raise SpentError

    def expression(self, node: ast.expr) -> Value:  # noqa: PLR0911, PLR0912 - one case per expression
        """The value of an expression; its parts are evaluated, for their effects, even where it is unknown."""
        self.spend()
        match node:
            case ast.Constant(value=value):
                return Value(value, Trace(node.lineno) if isinstance(value, str | bytes) else None)
            case ast.Name(id=name):
                return self.names.get(name, Value(Dotted(name)))
            case ast.Attribute(value=owner, attr=attribute):
                return self.attribute(self.expression(owner), attribute)
            case ast.Call():
                return self.call(node)
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(self.expression(left), op, self.expression(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self.expression(operand).data
                return Value(-value) if isinstance(value, int) else NOTHING
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = self.expression(operand).data
                return Value(not value) if isinstance(value, bool | int | str | bytes) else NOTHING
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                items = [self.expression(element) for element in elements]
                trace = deepest(items)
                return Value(items if isinstance(node, ast.List) else tuple(items), trace)
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                both = [(self.expression(key), self.expression(value)) for key, value in pairs if key is not None]
                return Value({key.data: value for key, value in both if isinstance(key.data, str | int | bytes)})
            case ast.Subscript(value=owner, slice=key):
                return self.item(self.expression(owner), key)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                known = self.expression(test).data
                if isinstance(known, Unknown | Dotted | Bound):
                    either = self.expression(body)
                    other = self.expression(orelse)
                    return either if not isinstance(either.data, Unknown) else other
                return self.expression(body if known else orelse)
            case ast.JoinedStr(values=values):
                parts = [self.expression(part) for part in values]
                if all(isinstance(part.data, str) for part in parts):
                    return Value("".join(part.data for part in parts), deepest(parts))
                return NOTHING
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                known = self.expression(value)
                return replace(known, data=str(known.data)) if isinstance(known.data, str | int) else NOTHING
            case (
                ast.GeneratorExp(elt=element, generators=[generator])
                | ast.ListComp(elt=element, generators=[generator])
            ):
                return self.comprehension(element, generator)
            case ast.NamedExpr(target=target, value=value):
                known = self.expression(value)
                self.assign(target, known)
                return known
            case ast.Lambda():
                return Value(Function(node))
            case ast.Starred(value=value):
                return self.expression(value)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self.compare(self.expression(left), op, self.expression(right))
            case ast.BoolOp(values=values):
                truths = [self.expression(value).data for value in values]
                if all(isinstance(item, bool) for item in truths):
                    return Value(all(truths) if isinstance(node.op, ast.And) else any(truths))
                return NOTHING
            case _:
                return NOTHING

    def comprehension(self, element: ast.expr, generator: ast.comprehension) -> Value:
        """A list or generator comprehension over one source."""
        source = self.expression(generator.iter)
        out = []
        for item in self.items(source):
            self.assign(generator.target, item)
            if all(self.expression(test).data is not False for test in generator.ifs):
                out.append(self.expression(element))
        return Value(out, deepest([source, *out]))

    def items(self, value: Value) -> Sequence[Value]:
        """What a loop over a value sees: its items, else one unknown."""
        if isinstance(value.data, dict):
            return [Value(key) for key in value.data]
        if isinstance(value.data, list | tuple | str | bytes) and len(value.data) <= self.steps:
            return [wrap(item, value.trace) for item in value.data]
        return [NOTHING]

    def compare(self, left: Value, op: ast.cmpop, right: Value) -> Value:
        """Equality of plain values."""
        plain = str | bytes | int | None
        if not isinstance(left.data, plain) or not isinstance(right.data, plain):
            return NOTHING
        if isinstance(op, ast.Eq | ast.Is):
            return Value(left.data == right.data)
        return Value(left.data != right.data) if isinstance(op, ast.NotEq | ast.IsNot) else NOTHING

    def binary(self, left: Value, op: ast.operator, right: Value) -> Value:  # noqa: PLR0911 - one case per kind of owner
        """An operator on two values, bounded in size."""
        a, b = left.data, right.data
        if isinstance(a, PurePosixPath) and isinstance(op, ast.Div) and isinstance(b, str | PurePosixPath):
            return Value(a / b)
        both_text = (isinstance(a, str) and isinstance(b, str)) or (isinstance(a, bytes) and isinstance(b, bytes))
        if isinstance(op, ast.Add) and both_text and len(a) + len(b) <= LARGEST:
            return Value(a + b, deepest([left, right]))
        if isinstance(op, ast.Add) and isinstance(a, list) and isinstance(b, list):
            return Value(bounded([*a, *b]), deepest([left, right]))
        if isinstance(op, ast.Mult) and isinstance(a, str | bytes) and isinstance(b, int) and len(a) * b <= LARGEST:
            return Value(a * b, left.trace)
        function = _BINARY.get(type(op))
        if function is not None and isinstance(a, int) and isinstance(b, int) and max(abs(a), abs(b)) < 1 << 64:
            try:
                return Value(function(a, b))
            except ZeroDivisionError:
                return NOTHING
        return NOTHING

    def item(self, owner: Value, key: ast.expr) -> Value:
        """An index or a slice."""
        if isinstance(key, ast.Slice):
            parts = [self.expression(part).data if part else None for part in (key.lower, key.upper, key.step)]
            if isinstance(owner.data, str | bytes | list | tuple) and all(isinstance(p, int | None) for p in parts):
                return replace(owner, data=owner.data[slice(*parts)]) if parts[2] != 0 else NOTHING
            return NOTHING
        index = self.expression(key).data
        try:
            if isinstance(owner.data, dict) or (
                isinstance(owner.data, list | tuple | str | bytes) and isinstance(index, int)
            ):
                return wrap(owner.data[index], owner.trace)
        except (LookupError, TypeError):
            return NOTHING
        return NOTHING

    def attribute(self, owner: Value, name: str) -> Value:
        """An attribute: a module's member by name, a path's part, or a method not called yet."""
        match owner.data:
            case Dotted(name=dotted):
                return Value(constant(f"{dotted}.{name}"))
            case Unknown():
                return NOTHING
            case PurePosixPath() if name in PATH_ATTRIBUTES:
                return Value(getattr(owner.data, name))
            case _:
                return Value(Bound(owner, name), owner.trace)
