"""The compact program that the interpreter walks.

libcst's tree is faithful to the last blank; an analyser needs one node in five of it. :mod:`auditor.flow.lower` makes
these nodes in a single traversal. Every node is slotted and carries its 1-based ``line`` in the file it came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

VARIES: Final = object()
"""Stands for the value of a name that is not always bound to the same constant."""


class Node:
    """Base of all nodes."""

    __slots__ = ("line",)
    line: int


class Expr(Node):
    """An expression."""

    __slots__ = ()


class Stmt(Node):
    """A statement."""

    __slots__ = ()


class Constant(Expr):
    """A literal: number, text, bytes, None, True, False or Ellipsis."""

    __slots__ = ("value",)

    def __init__(self, line: int, value: Any) -> None:
        self.line, self.value = line, value


class Name(Expr):
    """A name that is read or, as a target, bound."""

    __slots__ = ("id",)

    def __init__(self, line: int, id: str) -> None:
        self.line, self.id = line, id


class Attribute(Expr):
    """``value.attr``."""

    __slots__ = ("attr", "value")

    def __init__(self, line: int, value: Expr, attr: str) -> None:
        self.line, self.value, self.attr = line, value, attr


class Subscript(Expr):
    """``value[index]``; several indices are a :class:`Sequence`."""

    __slots__ = ("index", "value")

    def __init__(self, line: int, value: Expr, index: Expr) -> None:
        self.line, self.value, self.index = line, value, index


class Slice(Expr):
    """``lower:upper:step`` inside a subscript."""

    __slots__ = ("lower", "step", "upper")

    def __init__(self, line: int, lower: Expr | None, upper: Expr | None, step: Expr | None) -> None:
        self.line, self.lower, self.upper, self.step = line, lower, upper, step


class Call(Expr):
    """A call; a starred argument is a :class:`Starred`, ``**mapping`` has the keyword None."""

    __slots__ = ("args", "func", "keywords")

    def __init__(self, line: int, func: Expr, args: list[Expr], keywords: list[tuple[str | None, Expr]]) -> None:
        self.line, self.func, self.args, self.keywords = line, func, args, keywords


class Binary(Expr):
    """``left op right``, ``op`` as written."""

    __slots__ = ("left", "op", "right")

    def __init__(self, line: int, op: str, left: Expr, right: Expr) -> None:
        self.line, self.op, self.left, self.right = line, op, left, right


class Compare(Expr):
    """``left op right op right ...``."""

    __slots__ = ("left", "rest")

    def __init__(self, line: int, left: Expr, rest: list[tuple[str, Expr]]) -> None:
        self.line, self.left, self.rest = line, left, rest


class Boolean(Expr):
    """``left and right`` or ``left or right``."""

    __slots__ = ("left", "op", "right")

    def __init__(self, line: int, op: str, left: Expr, right: Expr) -> None:
        self.line, self.op, self.left, self.right = line, op, left, right


class Unary(Expr):
    """``-x``, ``+x``, ``~x`` or ``not x``."""

    __slots__ = ("op", "value")

    def __init__(self, line: int, op: str, value: Expr) -> None:
        self.line, self.op, self.value = line, op, value


class IfExp(Expr):
    """``body if test else orelse``."""

    __slots__ = ("body", "orelse", "test")

    def __init__(self, line: int, test: Expr, body: Expr, orelse: Expr) -> None:
        self.line, self.test, self.body, self.orelse = line, test, body, orelse


class Sequence(Expr):
    """A tuple, list or set display; ``kind`` says which."""

    __slots__ = ("items", "kind")

    def __init__(self, line: int, kind: str, items: list[Expr]) -> None:
        self.line, self.kind, self.items = line, kind, items


class Mapping(Expr):
    """A dict display; a key of None is ``**mapping``."""

    __slots__ = ("items",)

    def __init__(self, line: int, items: list[tuple[Expr | None, Expr]]) -> None:
        self.line, self.items = line, items


class Text(Expr):
    """An f-string: literal parts and expressions, in order."""

    __slots__ = ("parts",)

    def __init__(self, line: int, parts: list[str | Expr]) -> None:
        self.line, self.parts = line, parts


class Starred(Expr):
    """``*value`` in a call, display or target."""

    __slots__ = ("value",)

    def __init__(self, line: int, value: Expr) -> None:
        self.line, self.value = line, value


class NamedExpr(Expr):
    """``target := value``."""

    __slots__ = ("target", "value")

    def __init__(self, line: int, target: Expr, value: Expr) -> None:
        self.line, self.target, self.value = line, target, value


class Yield(Expr):
    """``yield value`` and ``yield from value`` (``many``); ``await`` lowers to its operand."""

    __slots__ = ("many", "value")

    def __init__(self, line: int, value: Expr | None, many: bool) -> None:
        self.line, self.value, self.many = line, value, many


class Comprehension(Expr):
    """``kind`` is list, set, dict or generator; ``clauses`` are (target, iterable, conditions)."""

    __slots__ = ("clauses", "element", "key", "kind")

    def __init__(
        self, line: int, kind: str, key: Expr | None, element: Expr, clauses: list[tuple[Expr, Expr, list[Expr]]]
    ) -> None:
        self.line, self.kind, self.key, self.element, self.clauses = line, kind, key, element, clauses


class Parameter:
    """One parameter; ``kind`` is "positional", "keyword", "*" or "**"."""

    __slots__ = ("default", "kind", "name")

    def __init__(self, name: str, kind: str, default: Expr | None) -> None:
        self.name, self.kind, self.default = name, kind, default


class Function(Expr, Stmt):
    """A ``def`` (a statement) or a lambda (an expression); ``names`` are all that occur in its body."""

    __slots__ = ("body", "decorators", "file", "generator", "global_names", "name", "names", "parameters")

    def __init__(self, line: int, name: str, parameters: list[Parameter], decorators: list[Expr], file: str) -> None:
        self.line, self.name, self.parameters, self.decorators = line, name, parameters, decorators
        self.body: list[Stmt] = []
        self.generator = False
        self.global_names: set[str] = set()
        self.names: set[str] = set()
        self.file = file


class Class(Stmt):
    """A class statement; ``fields`` are the names that its body annotates, in order."""

    __slots__ = ("bases", "body", "decorators", "fields", "name")

    def __init__(
        self,
        line: int,
        name: str,
        bases: list[Expr],
        decorators: list[Expr],
        body: list[Stmt],
        fields: list[str],
    ) -> None:
        self.line, self.name, self.bases, self.decorators, self.body = line, name, bases, decorators, body
        self.fields = fields


class Evaluate(Stmt):
    """An expression for its effect."""

    __slots__ = ("value",)

    def __init__(self, line: int, value: Expr) -> None:
        self.line, self.value = line, value


class Assign(Stmt):
    """``target = target = value``."""

    __slots__ = ("targets", "value")

    def __init__(self, line: int, targets: list[Expr], value: Expr) -> None:
        self.line, self.targets, self.value = line, targets, value


class AugAssign(Stmt):
    """``target op= value``; ``op`` without the equals sign."""

    __slots__ = ("op", "target", "value")

    def __init__(self, line: int, target: Expr, op: str, value: Expr) -> None:
        self.line, self.target, self.op, self.value = line, target, op, value


class Return(Stmt):
    """``return value``."""

    __slots__ = ("value",)

    def __init__(self, line: int, value: Expr | None) -> None:
        self.line, self.value = line, value


class Jump(Stmt):
    """``break``, ``continue`` or ``raise``; ``kind`` says which."""

    __slots__ = ("kind", "value")

    def __init__(self, line: int, kind: str, value: Expr | None = None) -> None:
        self.line, self.kind, self.value = line, kind, value


class If(Stmt):
    """``if test``; ``elif`` is an If inside ``orelse``."""

    __slots__ = ("body", "orelse", "test")

    def __init__(self, line: int, test: Expr, body: list[Stmt], orelse: list[Stmt]) -> None:
        self.line, self.test, self.body, self.orelse = line, test, body, orelse


class Loop(Stmt):
    """``for target in iterable`` or, with no target, ``while iterable``.

    ``assigned`` holds the names that the loop binds, what may change from one iteration to the next: each with the one
    constant that every binding gives it, or ``VARIES``.
    """

    __slots__ = ("assigned", "body", "iterable", "orelse", "target")

    def __init__(
        self,
        line: int,
        target: Expr | None,
        iterable: Expr,
        body: list[Stmt],
        orelse: list[Stmt],
        assigned: dict[str, Any],
    ) -> None:
        self.line, self.target, self.iterable, self.body = line, target, iterable, body
        self.orelse, self.assigned = orelse, assigned


class Try(Stmt):
    """``handlers`` are (exception or None, bound name or None, body)."""

    __slots__ = ("body", "final", "handlers", "orelse")

    def __init__(
        self,
        line: int,
        body: list[Stmt],
        handlers: list[tuple[Expr | None, str | None, list[Stmt]]],
        orelse: list[Stmt],
        final: list[Stmt],
    ) -> None:
        self.line, self.body, self.handlers, self.orelse, self.final = line, body, handlers, orelse, final


class With(Stmt):
    """``items`` are (context, target or None)."""

    __slots__ = ("body", "items")

    def __init__(self, line: int, items: list[tuple[Expr, Expr | None]], body: list[Stmt]) -> None:
        self.line, self.items, self.body = line, items, body


class Import(Stmt):
    """``names`` are (dotted name, bound name); ``module`` is set for ``from module import``, ``*`` included."""

    __slots__ = ("level", "module", "names")

    def __init__(self, line: int, module: str | None, level: int, names: list[tuple[str, str | None]]) -> None:
        self.line, self.module, self.level, self.names = line, module, level, names


class Delete(Stmt):
    """``del targets``."""

    __slots__ = ("targets",)

    def __init__(self, line: int, targets: list[Expr]) -> None:
        self.line, self.targets = line, targets


class Match(Stmt):
    """A match statement, of which only the subject and the bodies matter here."""

    __slots__ = ("cases", "subject")

    def __init__(self, line: int, subject: Expr, cases: list[list[Stmt]]) -> None:
        self.line, self.subject, self.cases = line, subject, cases


class Module:
    """One file, lowered."""

    __slots__ = ("body", "file", "lines")

    def __init__(self, file: str, body: list[Stmt], lines: list[str]) -> None:
        self.file, self.body, self.lines = file, body, lines


def walk(nodes: Iterable[object]) -> Iterator[Node]:
    """Every node in some statements or expressions, inner functions included, in no particular order."""
    todo = list(nodes)
    while todo:
        node = todo.pop()
        if isinstance(node, Node):
            yield node
            todo += [getattr(node, name) for cls in type(node).__mro__ for name in getattr(cls, "__slots__", ())]
        elif isinstance(node, list | tuple):
            todo += node
