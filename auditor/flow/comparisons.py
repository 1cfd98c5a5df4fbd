"""Comparisons, and what is true."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from auditor.flow import ir, scaling, uses, zeros
from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.provenance import Provenance
from auditor.flow.stores import Stores
from auditor.flow.values import (
    Array,
    Bound,
    Closure,
    Const,
    Dict,
    External,
    Instance,
    Scope,
    Seq,
    Top,
    Tuple,
    Union,
    Value,
    is_none,
)

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
    "in": lambda a, b: a in b, "not in": lambda a, b: a not in b, "is": lambda a, b: a is b or a == b,
    "is not": lambda a, b: not (a is b or a == b),
}  # fmt: skip
_ORDERS = frozenset({"<", "<=", ">", ">="})


class Comparisons(Stores):
    """Evaluates comparisons and conditions."""

    sorted_names: set[str]
    """File names that the program asks for a part of: it tells files apart that a pattern does not."""

    def environment_has(self, name: str) -> bool:
        """Whether the launch sets an environment variable."""
        raise NotImplementedError

    def _compare(self, node: ir.Compare) -> Value:
        left = self.eval(node.left)
        result: Value | None = None
        for op, right_node in node.rest:
            right = self.eval(right_node)
            self.at(node)
            value = self.compare(op, left, right)
            result = value if result is None else self._both("and", result, value)
            left = right
        return result or self.top()

    def compare(self, op: str, a: Value, b: Value) -> Value:
        """``a op b``."""
        if isinstance(a, Const) and isinstance(b, Const):
            try:
                return Const(bool(_COMPARE[op](a.value, b.value)), self.lattice.union(a.prov, b.prov))
            except Exception:  # noqa: BLE001 - the program's own error
                return self.top(self.lattice.union(a.prov, b.prov))
        known = self._membership(op, a, b)
        if known is not None:
            return self.const(known)
        prov = self.lattice.union(a.prov, self.deep(b) if isinstance(b, Seq | Tuple | Dict) else b.prov)
        prov = self.lattice.flagged(prov, 0, P.ENTROPY | P.EXPERT)
        if self.oracle(a.prov, b.prov):
            prov = self.lattice.flagged(prov, P.GOLD_COMPARED)
        if op in _ORDERS and self.ranks(a.prov, b.prov):
            prov = self.lattice.flagged(prov, P.RANKED)
        prov = self._truth_about_tokens(op, a, b, prov)
        if isinstance(a, Array) or isinstance(b, Array):
            result = Array(prov)
            result.mask = True
            return result
        return Top(prov)

    def _truth_about_tokens(self, op: str, a: Value, b: Value, prov: Provenance) -> Provenance:
        """A comparison of a token, or of a fixed table's entry for it, with a number splits the vocabulary."""
        orders = op in _ORDERS
        for value, bound in ((a, b), (b, a)):
            if not isinstance(bound, Const) or not isinstance(bound.value, int | float):
                continue
            if orders and bound.value == 0:
                # Whether there is an entry at all; a token without bytes has none to be scored, and that is no truth.
                return uses.without(self.lattice, prov, "look") if value.prov.flags & P.BYTES else prov
            if orders and scaling.splits(value.prov, bound.value):
                return uses.used(self.lattice, prov, "likely", uses.scored(value.prov))
            tokens = value.prov.tokens
            if not orders or value.prov.flags & (P.TABLE | P.HASHED | P.NLL | P.WEIGHTS | P.OPAQUE):
                prov = uses.gate(self.lattice, prov)
            elif tokens and value.prov.flags & P.VAL and 1 < bound.value < uses.SMALL:
                prov = uses.used(self.lattice, prov, "gate", [token.position for token in tokens])
        return prov

    def _membership(self, op: str, a: Value, b: Value) -> bool | None:
        if op in {"is", "is not"} and isinstance(b, Const) and b.value is None:
            if isinstance(a, Top) or (isinstance(a, Union) and any(is_none(v) for v in a.items)):
                return None
            return op == "is not" if not isinstance(a, Const) else None
        if op in {"in", "not in"} and isinstance(a, Const):
            if isinstance(b, Dict) and b.key is None:
                return (a.value in b.known) == (op == "in")
            items = self.known_items(b) if isinstance(b, Seq | Tuple) else None
            if items is not None and all(isinstance(i, Const) for i in items):
                return any(isinstance(i, Const) and i.value == a.value for i in items) == (op == "in")
            if isinstance(b, External) and b.name == "os.environ":
                return self.environment_has(str(a.value)) == (op == "in")
            if isinstance(b, Top) and b.text is not None:
                self.sorted_names.add(b.text)
        return None

    def truth(self, value: Value) -> bool | None:
        """Whether a value counts as true, where that is known."""
        if isinstance(value, Const):
            return bool(value.value)
        if isinstance(value, Tuple):
            return bool(value.items)
        if isinstance(value, Seq):
            return bool(value.items) if value.items is not None else None
        if isinstance(value, Dict):
            return True if value.known else None if value.key is not None else False
        if isinstance(value, Closure | Bound | Scope):
            return True
        if isinstance(value, Instance):
            return True
        if isinstance(value, Union):
            truths = {self.truth(item) for item in value.items}
            return truths.pop() if len(truths) == 1 else None
        if isinstance(value, Top) and value.text is not None and value.text.strip("\0"):
            return True
        return None

    def _boolean(self, node: ir.Boolean) -> Value:
        left = self.eval(node.left)
        truth = self.truth(left)
        if truth is not None and truth == (node.op == "or"):
            return left
        right = self.eval(node.right)
        if truth is not None:
            return right
        return self._both(node.op, left, right)

    def _both(self, op: str, a: Value, b: Value) -> Value:
        left, right = self.truth(a), self.truth(b)
        decided = op == "or"
        if decided in (left, right) and (left is not None or right is not None):
            return self.const(decided) if left is decided or right is decided else self.join(a, b)
        prov = uses.gate(self.lattice, self.lattice.union(a.prov, b.prov))
        return Top(prov) if op == "and" else self.join(a, b)

    def _if_exp(self, node: ir.IfExp) -> Value:
        test = self.eval(node.test)
        truth = self.truth(test)
        if truth is not None:
            return self.eval(node.body if truth else node.orelse)
        a, b = self.eval(node.body), self.eval(node.orelse)
        left, right = self.affine(a), self.affine(b)
        joined = self.join(a, b)
        if isinstance(joined, Top) and left is not None and right is not None and left != right:
            compared = zeros.tested(self, node.test)
            first = compared is None or compared[1]
            zero = compared[0] if compared is not None else None
            joined = Top(joined.prov, self.numbers.either(*((left, right) if first else (right, left)), zero))
        if isinstance(joined, Top) and test.prov.deps:
            joined = Top(self.lattice.change(joined.prov, deps=joined.prov.deps | test.prov.deps), joined.affine)
        return self.chosen(test, joined, a, b)
