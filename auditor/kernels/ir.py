"""C as the analysis sees it: a dozen kinds of nodes, whatever the grammar calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Name:
    """A variable."""

    id: str
    line: int


@dataclass(frozen=True, slots=True)
class Number:
    """A constant; None when it is no integer."""

    value: int | None


@dataclass(frozen=True, slots=True)
class Index:
    """``base[index]``; ``*p`` is ``p[0]``."""

    base: Expr
    index: Expr
    line: int


@dataclass(frozen=True, slots=True)
class Field:
    """``base.name`` and ``base->name``."""

    base: Expr
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Address:
    """``&of``."""

    of: Expr


@dataclass(frozen=True, slots=True)
class Call:
    """``function(arguments)``; ``receiver`` is the object of a method call."""

    function: str
    arguments: tuple[Expr, ...]
    line: int
    receiver: Expr | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """Any operator without effects; ``operator`` is its spelling, ``?:`` or ``{}`` for a list."""

    operator: str
    operands: tuple[Expr, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Assign:
    """``target = value``, or ``target op= value``; ``after`` is the postfix form of an increment."""

    target: Expr
    operator: str
    value: Expr
    line: int
    after: bool = False


Expr: TypeAlias = Name | Number | Index | Field | Address | Call | Operation | Assign


@dataclass(frozen=True, slots=True)
class Declare:
    """A local variable; ``element`` is the type behind the pointer, as spelt, empty for what is no pointer."""

    name: str
    value: Expr | None
    line: int
    reference: bool = False
    element: str = ""
    constant: bool = False


@dataclass(frozen=True, slots=True)
class Evaluate:
    """An expression as a statement."""

    value: Expr


@dataclass(frozen=True, slots=True)
class If:
    """A branch."""

    test: Expr
    then: tuple[Stmt, ...]
    otherwise: tuple[Stmt, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Loop:
    """``for``, ``while`` and ``do``; ``start`` runs once before."""

    start: tuple[Stmt, ...]
    test: Expr | None
    step: Expr | None
    body: tuple[Stmt, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Switch:
    """A ``switch``; every case may be entered."""

    test: Expr
    cases: tuple[tuple[Stmt, ...], ...]
    line: int


@dataclass(frozen=True, slots=True)
class Jump:
    """``continue``, ``break``, ``return`` or ``goto``."""

    kind: str
    value: Expr | None
    line: int


Stmt: TypeAlias = Declare | Evaluate | If | Loop | Switch | Jump


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: ``element`` is the type behind the pointer, as spelt."""

    name: str
    element: str
    pointer: bool
    constant: bool
    reference: bool


@dataclass(frozen=True, slots=True)
class Function:
    """A function or a function-like macro, whose parameters are the arguments themselves."""

    name: str
    parameters: tuple[Parameter, ...]
    body: tuple[Stmt, ...]
    line: int
    problems: tuple[str, ...] = ()
    macro: bool = False
