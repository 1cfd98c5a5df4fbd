"""Scorers in C that spread a token's loss over its bytes and use the share as a byte's probability.

Order does not matter here, so nothing is interpreted: names carry what they are assigned, through calls too. A share is
a loss divided by a number that is looked up for the token; sums over many tokens are none, since a mean loss per byte
is how every score is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field

from auditor.findings import Step
from auditor.kernels import ir
from auditor.kernels.facts import Spread
from auditor.kernels.interpret import children, expressions_in
from auditor.kernels.unit import Unit

_REAL = re.compile(r"\b(?:double|float)\b")
_INTEGER = re.compile(r"\b(?:u?int\d*(?:_t)?|char|long|short|unsigned|[ui]\d+|size_t)\b")
_EXPONENTIAL = re.compile(r"exp2?[fl]?")
_POWER = re.compile(r"pow[fl]?")
_DEPTH = 6
"""Calls that a share is followed through."""


def spreads(unit: Unit) -> Iterator[Spread]:
    """What the functions of a translation unit do with losses that are given to them, one for each array of losses."""
    for function in unit.functions.values():
        if function.macro:
            continue
        body = _Body.of(function)
        lengths = body.carrying({p.name for p in function.parameters if p.pointer and _INTEGER.search(p.element)})
        for position, parameter in enumerate(function.parameters):
            if parameter.pointer and _REAL.search(parameter.element):
                path = _path(unit, body, parameter.name, lengths)
                if path is not None:
                    yield Spread(function.name, position, path)


@dataclass
class _Body:
    """The expressions of a function, and what its variables are assigned."""

    expressions: list[ir.Expr] = field(default_factory=list)
    assigned: list[tuple[str, ir.Expr]] = field(default_factory=list)
    sums: set[str] = field(default_factory=set)
    """Variables that add up what is not constant."""

    @classmethod
    def of(cls, function: ir.Function) -> _Body:
        """The body of a function."""
        body = cls()
        for expression in _everything(function.body):
            body.expressions.append(expression)
            if not isinstance(expression, ir.Assign):
                continue
            name = _variable(expression.target)
            value = expression.value
            if name and expression.operator:
                if expression.operator in "+-" and not isinstance(value, ir.Number):
                    body.sums.add(name)
                value = ir.Operation(expression.operator, (ir.Name(name, expression.line), value), expression.line)
                body.expressions.append(value)
            if name:
                body.assigned.append((name, value))
        return body

    def carrying(self, names: Iterable[str], holds: Callable[[ir.Expr], bool] = lambda _: False) -> Set[str]:
        """Variables that are, or are assigned, what holds: those ``names``, what ``holds`` says, and so on."""
        found = set(names)
        waiting = [(name, value) for name, value in self.assigned if name not in self.sums]
        while new := {name for name, value in waiting if _uses(value, found) or _has(value, holds)} - found:
            found |= new
        return found


def _path(unit: Unit, body: _Body, losses: str, lengths: Set[str]) -> tuple[Step, ...] | None:
    """From the division to the exponential, where one array of losses goes that way."""
    scores = body.carrying({losses})
    inverse = body.carrying((), lambda e: _divides(e, lengths) and not _uses(e, scores))

    def inverts(e: ir.Expr) -> bool:
        return _uses(e, inverse) or _has(e, lambda part: _divides(part, lengths))

    def is_share(e: ir.Expr) -> bool:
        """A quotient, a product with the inverse of a length, or a power by it."""
        match e:
            case ir.Operation("/", (left, _)):
                return _divides(e, lengths) and _uses(left, scores)
            case ir.Operation("*", (left, right)):
                return any(_uses(a, scores) and inverts(b) for a, b in ((left, right), (right, left)))
            case ir.Call(name, (base, exponent)):
                return bool(_POWER.fullmatch(name)) and _uses(base, scores) and inverts(exponent)
        return False

    divided = [e.line for e in body.expressions if isinstance(e, ir.Operation | ir.Call) and is_share(e)]
    if not divided:
        return None
    first = unit.step(min(divided), "a token's loss is divided by a number that is looked up for the token")
    used = _used(unit, body, body.carrying((), is_share), is_share, _DEPTH)
    return None if used is None else (first, *used)


def _used(
    unit: Unit, body: _Body, names: Set[str], holds: Callable[[ir.Expr], bool], depth: int
) -> tuple[Step, ...] | None:
    """Where a share is raised to a probability, in this function or in one that it is given to."""

    def carries(e: ir.Expr) -> bool:
        return _has(e, lambda part: _is(part, names) or holds(part))

    for call in body.expressions:
        if not isinstance(call, ir.Call):
            continue
        if _POWER.fullmatch(call.function) and holds(call):
            return (unit.step(call.line, "the share is used as a probability"),)
        given = [position for position, argument in enumerate(call.arguments) if carries(argument)]
        if not given:
            continue
        if _EXPONENTIAL.fullmatch(call.function):
            return (unit.step(call.line, "the share is used as a probability"),)
        callee = unit.functions.get(call.function)
        if callee is not None and depth:
            inside = _Body.of(callee)
            parameters = {callee.parameters[p].name for p in given if p < len(callee.parameters)}
            rest = _used(unit, inside, inside.carrying(parameters), lambda _: False, depth - 1)
            if rest is not None:
                return (unit.step(call.line, "the share goes in here"), *rest)
    return None


def _everything(body: Iterable[ir.Stmt]) -> Iterator[ir.Expr]:
    """Every expression in some statements, and their parts; the first value of a variable is an assignment."""
    waiting = [expression for statement in body for expression in expressions_in(statement)]
    waiting += [ir.Assign(ir.Name(d.name, d.line), "", d.value, d.line) for d in _declared(body) if d.value is not None]
    while waiting:
        expression = waiting.pop()
        yield expression
        waiting += children(expression)


def _declared(body: Iterable[ir.Stmt]) -> Iterator[ir.Declare]:
    for statement in body:
        match statement:
            case ir.Declare():
                yield statement
            case ir.If(_, then, otherwise):
                yield from _declared((*then, *otherwise))
            case ir.Switch(_, cases):
                yield from _declared(inner for case in cases for inner in case)
            case ir.Loop(start, _, _, inside):
                yield from _declared((*start, *inside))


def _divides(e: ir.Expr, lengths: Set[str]) -> bool:
    return isinstance(e, ir.Operation) and e.operator == "/" and len(e.operands) == 2 and _uses(e.operands[1], lengths)


def _uses(e: ir.Expr, names: Set[str]) -> bool:
    return _has(e, lambda part: _is(part, names))


def _is(e: ir.Expr, names: Set[str]) -> bool:
    return isinstance(e, ir.Name) and e.id in names


def _has(e: ir.Expr, holds: Callable[[ir.Expr], bool]) -> bool:
    return holds(e) or any(_has(child, holds) for child in children(e))


def _variable(target: ir.Expr) -> str:
    while isinstance(target, ir.Index | ir.Field):
        target = target.base
    return target.id if isinstance(target, ir.Name) else ""
