"""Which integers a condition compares with 0: the first window of a stream is scored, and fitted, unlike the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.flow import ir
from auditor.flow.affine import Affine
from auditor.flow.spans import NOWHERE

if TYPE_CHECKING:
    from auditor.flow.comparisons import Comparisons

_IS_ZERO = {"==": True, "<=": True, "!=": False, ">": False}
"""What a comparison with 0 says of an integer that is never negative, such as a position, where it is true."""
_EACH = {("any", False), ("all", True)}
"""Where these are so, the condition inside is the same for each."""


def tested(engine: Comparisons, test: ir.Expr) -> tuple[Affine, bool] | None:
    """The variable that a condition compares with 0, in its general form, and whether it is 0 where that is true."""
    found = _compared(test)
    if found is None:
        return None
    affine = engine.affine(engine.eval(found[0]))
    return (engine.numbers.general(affine), found[1]) if affine is not None else None


def nonzero(engine: Comparisons, test: ir.Expr, truth: bool) -> frozenset[Affine]:
    """What is known not to be 0 where a condition is ``truth``: ``not any(begin == 0 for begin in batch)``."""
    if isinstance(test, ir.Unary) and test.op == "not":
        return nonzero(engine, test.value, not truth)
    if isinstance(test, ir.Boolean):
        if truth == (test.op == "and"):
            return nonzero(engine, test.left, truth) | nonzero(engine, test.right, truth)
        return NOWHERE
    if isinstance(test, ir.Call) and isinstance(test.func, ir.Name) and len(test.args) == 1:
        return _of_all(engine, test.args[0], truth) if (test.func.id, truth) in _EACH else NOWHERE
    known = tested(engine, test)
    return frozenset({known[0]}) if known is not None and known[1] != truth else NOWHERE


def _of_all(engine: Comparisons, each: ir.Expr, truth: bool) -> frozenset[Affine]:
    """The elements of a sequence, where a comparison with 0 is ``truth`` for each."""
    if not isinstance(each, ir.Comprehension) or len(each.clauses) != 1:
        return NOWHERE
    target, iterable, _ = each.clauses[0]
    found = _compared(each.element)
    if found is None or found[1] == truth or not isinstance(target, ir.Name) or found[0].id != target.id:
        return NOWHERE
    affine = engine.affine(engine.elements(engine.eval(iterable)))
    return frozenset({engine.numbers.general(affine)}) if affine is not None else NOWHERE


def _compared(test: ir.Expr) -> tuple[ir.Name, bool] | None:
    if not isinstance(test, ir.Compare) or not isinstance(test.left, ir.Name) or len(test.rest) != 1:
        return None
    relation, bound = test.rest[0]
    if relation not in _IS_ZERO or not isinstance(bound, ir.Constant) or bound.value != 0:
        return None
    return test.left, _IS_ZERO[relation]
