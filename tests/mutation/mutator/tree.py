"""Small questions about Python's syntax trees that every other module asks."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Slot:
    """Where a statement stands: ``block[index]``, and the statements around it from the outside in."""

    block: list[ast.stmt]
    statement: ast.stmt
    around: tuple[ast.stmt, ...]

    @property
    def index(self) -> int:
        """The statement's place in its block, now."""
        return next(i for i, other in enumerate(self.block) if other is self.statement)


def slots(body: list[ast.stmt], around: tuple[ast.stmt, ...] = ()) -> Iterator[Slot]:
    """Every statement below ``body`` in textual order, without those of nested functions and classes."""
    for statement in body:
        yield Slot(body, statement, around)
        if isinstance(statement, Function | ast.ClassDef):
            continue
        for name in ("body", "orelse", "finalbody"):
            yield from slots(getattr(statement, name, []), (*around, statement))
        for handler in getattr(statement, "handlers", []):
            yield from slots(handler.body, (*around, statement))


def functions(tree: ast.Module) -> Iterator[Function]:
    """Every function at module level."""
    return (node for node in tree.body if isinstance(node, Function))


def loaded(nodes: Iterable[ast.AST]) -> set[str]:
    """Names read below ``nodes``."""
    return {n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def stored(nodes: Iterable[ast.AST]) -> set[str]:
    """Names bound below ``nodes``: assigned, looped over, defined, imported or taken as a parameter."""
    names: set[str] = set()
    for node in nodes:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
                names.add(inner.id)
            elif isinstance(inner, Function | ast.ClassDef):
                names.add(inner.name)
            elif isinstance(inner, ast.arg):
                names.add(inner.arg)
            elif isinstance(inner, ast.alias):
                names.add((inner.asname or inner.name).partition(".")[0])
    return names


def root(node: ast.AST) -> ast.Name | None:
    """The name at the bottom of a chain of attributes, subscripts and calls: ``x`` of ``x.float().reshape(-1)[0]``."""
    while True:
        match node:
            case ast.Name():
                return node
            case ast.Attribute(value=inner) | ast.Subscript(value=inner) | ast.Call(func=inner):
                node = inner
            case _:
                return None


def called(node: ast.AST) -> str:
    """The last part of a call's function name, ``""`` for anything else."""
    match node:
        case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
            return name
        case _:
            return ""


def ends_with(node: ast.AST, suffix: str) -> bool:
    """Whether a name or attribute is called something that ends so."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.endswith(suffix)
        case _:
            return False


def expression(text: str) -> ast.expr:
    """One expression from its text."""
    return ast.parse(text, mode="eval").body


BUILTINS = frozenset(dir(builtins))
