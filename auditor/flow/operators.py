"""Operators: arithmetic on constants, positions, arrays, lists and texts."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from auditor.flow import ir, scaling, uses
from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.affine import Affine
from auditor.flow.comparisons import Comparisons
from auditor.flow.provenance import Provenance
from auditor.flow.values import Array, Const, Dict, Seq, Top, Tuple, Union, Value

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "<<": operator.lshift, ">>": operator.rshift,
}  # fmt: skip
_LN2 = 0.6931471805599453
HUGE = 1 << 20
"""Characters of a text that is still followed."""
MANY = 512
"""Elements of displays that are kept apart; a few lines of code can double them a hundred times."""


class Operators(Comparisons):
    """Evaluates operators."""

    def _binary(self, node: ir.Binary) -> Value:
        left = self.eval(node.left)
        right = self.eval(node.right)
        self.at(node)
        value = self.binary(node.op, left, right)
        if node.op == "*" and value.prov.uses and (scaling.exceeds_one(node.left) or scaling.exceeds_one(node.right)):
            return self.with_prov(value, scaling.boosted(self.lattice, value.prov))
        return value

    def binary(self, op: str, a: Value, b: Value) -> Value:
        """``a op b``."""
        if isinstance(a, Const) and isinstance(b, Const):
            folded = self._fold(op, a, b)
            if folded is not None:
                return folded
        if isinstance(a, Seq | Tuple) and op in "+*":
            return self._concatenate(op, a, b)
        if op == "|" and isinstance(a, Dict):
            merged = Dict(dict(a.known), a.prov)
            merged.key, merged.element = a.key, a.element
            self.update_dict(merged, b)
            return merged
        prov = self.lattice.union(self.deep(a), self.deep(b))
        if op in "+%/" and (isinstance(a, Const | Top) and isinstance(b, Const | Top | Tuple)):
            left, right = self.text_of(a) if not _numeric(a) else None, self.text_of(b) if not _numeric(b) else None
            if left is not None and op == "%":
                return Top(prov, None, left)
            if op == "/" and left is not None:
                return Top(prov, None, f"{left}/{right or chr(0)}")
            if left is not None or right is not None:
                text = (left or "\0") + (right or "\0")
                return Top(prov, None, text if len(text) <= HUGE else None)
        prov = self._operated(op, a, b, prov)
        affine = self._affine(op, a, b)
        arrays = [v for v in (a, b) if isinstance(v, Array)]
        if arrays or isinstance(a, Union) or isinstance(b, Union):
            ndim = max((v.ndim for v in arrays if v.ndim is not None), default=None)
            result = Array(prov, affine, ndim)
            spans = [v.span for v in arrays if v.span is not None]
            result.span = spans[0] if spans else None
            result.mask = op in "&|" and any(v.mask for v in arrays)
            result.stop = self._stop(op, a, b)
            if result.span is not None and prov.regions and op in "*&":
                result.prov = self.narrowed(prov, result.span)
            return result
        return Top(prov, affine)

    def _fold(self, op: str, a: Const, b: Const) -> Value | None:
        x, y = a.value, b.value
        if op in {"**", "<<"} and not (isinstance(x, int | float) and isinstance(y, int | float) and abs(y) < 128):
            return None
        repeats = op == "*" and isinstance(x, str | bytes) | isinstance(y, str | bytes)
        if repeats and not (isinstance(x, int) and x < 1000) and not (isinstance(y, int) and y < 1000):
            return None
        if isinstance(x, int) and abs(x) > 1 << 256:
            return None
        try:
            value = _BINARY[op](x, y)
        except Exception:  # noqa: BLE001 - the program's own error, whatever it is; the value is then unknown
            return None
        if isinstance(value, int | float | str | bytes | bool) and not (isinstance(value, str) and len(value) > HUGE):
            return Const(value, self.lattice.union(a.prov, b.prov))
        return None

    def _concatenate(self, op: str, a: Seq | Tuple, b: Value) -> Value:
        if op == "*":
            element = self.elements(a)
            count = b.value if isinstance(b, Const) and isinstance(b.value, int) else None
            known = self.known_items(a)
            if known is not None and count is not None and len(known) * count <= 8:
                return Seq(known * count, None, a.prov)
            return Seq(None, element, a.prov)
        left, right = self.known_items(a), self.known_items(b)
        if left is not None and right is not None and len(left) + len(right) <= MANY:
            both = left + right
            return Tuple(tuple(both), a.prov) if isinstance(a, Tuple) else Seq(both, None, a.prov)
        return Seq(None, self.join(self.elements(a), self.elements(b)), a.prov)

    @staticmethod
    def text_of(value: Value) -> str | None:
        """What is known of a value's text; NUL stands for the unknown."""
        if isinstance(value, Const):
            return str(value.value)
        return value.text if isinstance(value, Top) else None

    def _operated(self, op: str, a: Value, b: Value, prov: Provenance) -> Provenance:
        """Flags and facts that an operator adds."""
        flags = prov.flags
        if op == "^" or (op == "*" and (is_large(a) or is_large(b))):
            if flags & P.VAL:
                prov = self.lattice.flagged(prov, P.HASHED)
        elif op in "&%" and flags & P.HASHED:
            prov = self.reduced(prov)
        elif op in "*/" and (_near_ln2(a) or _near_ln2(b)):
            prov = self.lattice.flagged(prov, P.BITS)
        if op == "/":
            prov = self.divided(a.prov, b.prov, prov)
        elif op == "**":
            prov = self.rooted(a.prov, b.prov, prov)
        elif op in "+-" and prov.facts:
            prov = self.shifted(op, a.prov, b.prov, prov)
        return self._used(op, a, b, prov) if prov.uses or flags & (P.EXPERT | P.BYTE_PRODUCT) else prov

    def _used(self, op: str, a: Value, b: Value, prov: Provenance) -> Provenance:
        """What an operator does to truths about tokens, to one-hot vectors, and to numbers about distributions."""
        lattice = self.lattice
        if op in "&|" or (op == "-" and isinstance(a, Const)):
            prov = uses.gate(lattice, prov)
        elif op == "**":
            prov = uses.gated(lattice, prov)
        elif op == "+":
            if (a.prov.flags | b.prov.flags) & (P.WEIGHTS | P.PROBABILITY):
                prov = uses.renamed(lattice, prov, "one-hot", "felt")
            prov = self.added(a.prov, b.prov, prov)
            prov = scaling.mixed(lattice, a.prov, b.prov, prov)
        elif op in "*@" and not isinstance(a, Const) and not isinstance(b, Const):
            prov = uses.renamed(lattice, prov, "one-hot", "gold")
            prov = scaling.weighed(lattice, a.prov, b.prov, prov)
        # Nats are bits by another name, and stay what they are.
        return prov if op in "*/" and _near_ln2(b) else scaling.operated(lattice, op, a, b, prov)

    def _affine(self, op: str, a: Value, b: Value) -> Any:
        left, right = self.affine(a), self.affine(b)
        if left is None or right is None:
            return None
        if op == "+":
            return left.plus(right) or self.numbers.of((op, left, right))
        if op == "-":
            return left.plus(right, -1) or self.numbers.of((op, left, right))
        if op == "*":
            if not right.terms:
                return left.times(right.const)
            if not left.terms:
                return right.times(left.const)
        return self.numbers.of((op, left, right))

    def _stop(self, op: str, a: Value, b: Value) -> Affine | None:
        """What is above all elements of an index range that is moved."""
        stop, by = (b.stop, a) if isinstance(b, Array) and op == "+" else (a.stop if isinstance(a, Array) else None, b)
        distance = self.affine(by) if not isinstance(by, Array) and op in "+-" else None
        return stop.plus(distance, -1 if op == "-" else 1) if stop is not None and distance is not None else None

    def _unary(self, node: ir.Unary) -> Value:
        value = self.eval(node.value)
        if node.op == "not":
            truth = self.truth(value)
            prov = uses.gate(self.lattice, value.prov)
            return Const(not truth, prov) if truth is not None else Top(prov)
        if isinstance(value, Const):
            if isinstance(value.value, int | float):
                if node.op == "-":
                    return Const(-value.value, value.prov)
                if node.op == "~" and isinstance(value.value, int):
                    return Const(~value.value, value.prov)
            return value
        affine = self.affine(value)
        if isinstance(value, Array):
            prov = uses.gate(self.lattice, value.prov) if node.op == "~" else value.prov
            result = Array(prov, None, value.ndim)
            result.span, result.mask = value.span, value.mask
            return result
        return Top(self.deep(value), affine.times(-1) if affine is not None and node.op == "-" else None)


def _numeric(value: Value) -> bool:
    return isinstance(value, Const) and isinstance(value.value, int | float | bool)


def is_large(value: Value) -> bool:
    """Whether a value is, or holds, a constant as large as the multipliers of a hash."""
    if isinstance(value, Const):
        return isinstance(value.value, int) and abs(value.value) > 2048
    return bool(value.prov.flags & P.MULTIPLIER)


def _near_ln2(value: Value) -> bool:
    return (
        isinstance(value, Const)
        and isinstance(value.value, float)
        and (abs(value.value - _LN2) < 1e-4 or abs(value.value - 1 / _LN2) < 1e-4)
    )
