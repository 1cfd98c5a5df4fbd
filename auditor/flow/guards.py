"""Branches that put weights back under the condition under which an earlier branch has moved them.

Joined after the first, and again after the second, the two leave weights that were moved and not put back, which no run
does. Where the conditions share a part, each way is followed through both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from auditor.flow import ir

_RESTORES = frozenset({"load_state_dict", "copy_"})


def conjuncts(test: ir.Expr) -> list[ir.Expr]:
    """What a condition asks for, all of it."""
    if isinstance(test, ir.Boolean) and test.op == "and":
        return [*conjuncts(test.left), *conjuncts(test.right)]
    return [test]


def undone(node: ir.If, rest: list[ir.Stmt], restoring: set[ir.Stmt]) -> list[tuple[ir.If, list[ir.Expr]]]:
    """Later branches of the same block that put weights back, each with what its condition shares with ``node``'s.

    Args:
        node: the branch.
        rest: the statements after it.
        restoring: those of the block that :func:`restorations` gives.
    """
    mine = conjuncts(node.test)
    found = []
    for k, later in enumerate(rest):
        if isinstance(later, ir.If) and later in restoring:
            parts = [part for part in conjuncts(later.test) if any(alike(part, other) for other in mine)]
            bound = _bound([node, *rest[:k]]) if parts else set()
            parts = [part for part in parts if not _names(part) & bound]
            if parts:
                found.append((later, parts))
    return found


def alike(a: Any, b: Any) -> bool:
    """Whether two expressions read the same."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(alike, a, b))
    if not isinstance(a, ir.Node):
        return bool(a == b)
    slots = [name for cls in type(a).__mro__ for name in getattr(cls, "__slots__", ()) if name != "line"]
    return all(alike(getattr(a, name), getattr(b, name)) for name in slots)


def restorations(body: list[ir.Stmt]) -> set[ir.Stmt]:
    """The branches of a block that put weights back."""
    branches = [node for node in body if isinstance(node, ir.If) and not node.orelse]
    return {node for node in branches[1:] if any(map(_restores, ir.walk(node.body)))}


def _restores(node: ir.Node) -> bool:
    called = node.func if isinstance(node, ir.Call) else None
    return isinstance(called, ir.Attribute) and called.attr in _RESTORES


def _names(node: object) -> set[str]:
    return {name.id for name in ir.walk([node]) if isinstance(name, ir.Name)}


def _bound(statements: list[ir.Stmt]) -> set[str]:
    """Names that some statements may bind."""
    return {name for target in _targets(statements) for name in _names(target)}


def _targets(statements: list[ir.Stmt]) -> Iterator[object]:
    for node in ir.walk(statements):
        if isinstance(node, ir.Assign | ir.Delete):
            yield node.targets
        elif isinstance(node, ir.AugAssign | ir.Loop | ir.NamedExpr):
            yield node.target
        elif isinstance(node, ir.With):
            yield [target for _, target in node.items]
