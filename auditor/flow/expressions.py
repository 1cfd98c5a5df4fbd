"""Expressions other than calls: operators, attributes, subscripts, displays, comprehensions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from auditor.flow import ir, uses
from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.arrays import Arrays
from auditor.flow.provenance import Fact, Iteration, Provenance
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
    Slice,
    Top,
    Tuple,
    Union,
    Value,
)

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "<<": operator.lshift, ">>": operator.rshift,
}  # fmt: skip
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge,
    "in": lambda a, b: a in b, "not in": lambda a, b: a not in b, "is": lambda a, b: a is b or a == b,
    "is not": lambda a, b: not (a is b or a == b),
}  # fmt: skip
_SCORE = P.NLL | P.SUMMED | P.TABLE
LN2 = 0.6931471805599453
_HUGE = 1 << 20
_MANY = 512
"""Elements of displays that are kept apart; a few lines of code can double them a hundred times."""
UNROLLED = 3
"""Loops with a known number of iterations up to this are run as they are; others stand for two iterations."""


class Expressions(Arrays):
    """Evaluates expressions."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.sorted_names: set[str] = set()
        """File names that the program asks for a part of: it tells files apart that a pattern does not."""
        self._expressions: dict[type, Callable[[Any], Value]] = {
            ir.Constant: self._constant, ir.Name: self._name, ir.Attribute: self._attribute,
            ir.Subscript: self._subscript, ir.Slice: self._slice, ir.Call: self._call, ir.Binary: self._binary,
            ir.Compare: self._compare, ir.Boolean: self._boolean, ir.Unary: self._unary, ir.IfExp: self._if_exp,
            ir.Sequence: self._sequence, ir.Mapping: self._mapping, ir.Text: self._text, ir.Starred: self._starred,
            ir.NamedExpr: self._named, ir.Yield: self._yield, ir.Comprehension: self._comprehension,
            ir.Function: self.closure,
        }  # fmt: skip

    def eval(self, node: ir.Expr) -> Value:
        """The value of an expression."""
        return self._expressions[type(node)](node)

    def _call(self, node: ir.Call) -> Value:
        raise NotImplementedError

    def iterated(self, value: Value) -> Value:
        """What a loop over a value goes through: an object of the program says by its own methods."""
        raise NotImplementedError

    def attribute(self, owner: Value, name: str) -> Value:
        """``owner.name``."""
        raise NotImplementedError

    def call(self, function: Value, args: list[Value], keywords: dict[str, Value]) -> Value:
        """Call a value."""
        raise NotImplementedError

    # -- leaves and displays -----------------------------------------------------------------------------------------

    def _constant(self, node: ir.Constant) -> Value:
        return Const(node.value, self.lattice.none)

    def _name(self, node: ir.Name) -> Value:
        scope: Scope | None = self.frames[-1].scope
        name = node.id
        while scope is not None:
            value = scope.names.get(name)
            if value is not None:
                return value
            scope = scope.outer
        return self.unbound(name)

    def unbound(self, name: str) -> Value:
        """A name that no scope binds: a builtin, or something unknown."""
        return External(f"builtins.{name}", self.lattice.none)

    def _attribute(self, node: ir.Attribute) -> Value:
        return self.attribute(self.eval(node.value), node.attr)

    def _subscript(self, node: ir.Subscript) -> Value:
        owner = self.eval(node.value)
        index = self.eval(node.index)
        self.at(node)
        if isinstance(owner, Closure):
            return owner  # a Triton kernel with its grid
        return self.load_item(owner, index)

    def _slice(self, node: ir.Slice) -> Value:
        lower = self.eval(node.lower) if node.lower is not None else None
        upper = self.eval(node.upper) if node.upper is not None else None
        prov = self.prov_of([v for v in (lower, upper) if v is not None])
        if node.step is not None:
            step = self.eval(node.step)
            prov = self.lattice.union(prov, step.prov)
        return Slice(lower, upper, prov)

    def _sequence(self, node: ir.Sequence) -> Value:
        items: list[Value] = []
        summary: Value | None = None
        for item in node.items:
            if isinstance(item, ir.Starred):
                value = self.eval(item.value)
                known = self.known_items(value)
                if known is None:
                    summary = self.elements(value)
                else:
                    items += known
            else:
                items.append(self.eval(item))
        prov = self.lattice.none
        if node.kind == "tuple" and summary is None:
            result = Tuple(tuple(items), prov)
            return result if result.size <= _MANY else Seq(None, self.join_all(items), prov)
        if summary is not None:
            return Seq(None, self.join_all([*items, summary]), prov, node.kind)
        if len(items) > 64:
            return Seq(None, self.join_all(items[:64]), prov, node.kind)
        return Seq(items, None, prov, node.kind)

    def known_items(self, value: Value) -> list[Value] | None:
        """The elements of an iterable whose length is known."""
        raise NotImplementedError

    def _mapping(self, node: ir.Mapping) -> Value:
        result = Dict({}, self.lattice.none)
        for key, item in node.items:
            value = self.eval(item)
            if key is None:
                self.update_dict(result, value)
            else:
                self.store_item(result, self.eval(key), value)
        return result

    def update_dict(self, target: Dict, value: Value) -> None:
        """``target.update(value)``."""
        self.heap.touch(target)
        if isinstance(value, Dict):
            target.known.update(value.known)
            if value.element is not None:
                target.element = self.join(target.element, value.element)
                target.key = self.join(target.key, value.key)
        elif isinstance(value, Union):
            for item in value.items:
                self.update_dict(target, item)
        else:
            target.element = self.join(target.element, Top(self.deep(value)))
            target.key = self.join(target.key, Top(self.lattice.none))

    def _text(self, node: ir.Text) -> Value:
        text = ""
        prov = self.lattice.none
        exact = True
        for part in node.parts:
            if isinstance(part, str):
                text += part
                continue
            value = self.eval(part)
            prov = self.lattice.union(prov, self.deep(value))
            known = self.text_of(value)
            exact = exact and isinstance(value, Const)
            text += known if known is not None else "\0"
            if len(text) > _HUGE:
                return Top(prov)
        return Const(text, prov) if exact else Top(prov, None, text)

    @staticmethod
    def text_of(value: Value) -> str | None:
        """What is known of a value's text; NUL stands for the unknown."""
        if isinstance(value, Const):
            return str(value.value)
        return value.text if isinstance(value, Top) else None

    def _starred(self, node: ir.Starred) -> Value:
        return self.eval(node.value)

    def _named(self, node: ir.NamedExpr) -> Value:
        value = self.eval(node.value)
        self.store(node.target, value)
        return value

    def _yield(self, node: ir.Yield) -> Value:
        value = self.eval(node.value) if node.value is not None else self.nothing
        self.frames[-1].yields.append(self.elements(value) if node.many else value)
        return self.top()

    def closure(self, node: ir.Function) -> Closure:
        """The function object of a ``def`` or lambda."""
        defaults = {p.name: self.eval(p.default) for p in node.parameters if p.default is not None}
        scope = self.frames[-1].scope
        self.heap.capture(scope, node.names)
        return Closure(node, scope, defaults, None, self.lattice.none)

    # -- operators ---------------------------------------------------------------------------------------------------

    def _binary(self, node: ir.Binary) -> Value:
        left = self.eval(node.left)
        right = self.eval(node.right)
        self.at(node)
        return self.binary(node.op, left, right)

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
                return Top(prov, None, text if len(text) <= _HUGE else None)
        prov = self._operated(op, a, b, prov)
        affine = self._affine(op, a, b)
        arrays = [v for v in (a, b) if isinstance(v, Array)]
        if arrays or isinstance(a, Union) or isinstance(b, Union):
            ndim = max((v.ndim for v in arrays if v.ndim is not None), default=None)
            result = Array(prov, affine, ndim)
            spans = [v.span for v in arrays if v.span is not None]
            result.span = spans[0] if spans else None
            result.mask = op in "&|" and any(v.mask for v in arrays)
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
        if isinstance(value, int | float | str | bytes | bool) and not (isinstance(value, str) and len(value) > _HUGE):
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
        if left is not None and right is not None and len(left) + len(right) <= _MANY:
            both = left + right
            return Tuple(tuple(both), a.prov) if isinstance(a, Tuple) else Seq(both, None, a.prov)
        return Seq(None, self.join(self.elements(a), self.elements(b)), a.prov)

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
            prov = self._divided(a.prov, b.prov, prov)
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
        elif op in "*@" and not isinstance(a, Const) and not isinstance(b, Const):
            prov = uses.renamed(lattice, prov, "one-hot", "gold")
        return prov

    def added(self, a: Provenance, b: Provenance, prov: Provenance) -> Provenance:
        """Probabilities are added up: each must be one of the token."""
        for score, other in ((a, b), (b, a)):
            if score.flags & P.NLL and not score.flags & P.SUMMED and not other.flags & _SCORE:
                found = self.foreign(score, other, P.EXPERT, P.BYTE_PRODUCT)
                if found is not None:
                    return self.lattice.change(prov, facts=prov.facts | {found})
        return prov

    def foreign(self, score: Provenance, other: Provenance, about: int, of_bytes: int) -> Fact | None:
        """What is mixed with a token's score though it is none, by the flags that say so."""
        site = self.lattice.site
        if other.flags & about and not score.flags & (P.ENTROPY | P.EXPERT):
            why = "a number about the whole distribution is mixed in as if it were the token's probability"
            return Fact("pseudo-expert", site, ((site, why),))
        if other.flags & of_bytes and not score.flags & (P.LEARNED_BYTES | P.SPREAD):
            return Fact("byte-sum", site, ((site, "the probabilities of a token's bytes are mixed with the token's"),))
        return None

    def _divided(self, a: Provenance, b: Provenance, prov: Provenance) -> Provenance:
        if a.flags & P.NLL and not a.flags & P.SUMMED and b.flags & P.BYTES and not b.flags & P.SUMMED:
            prov = self.lattice.flagged(prov, P.SPREAD)
        facts = self.ratio_facts(a, b)
        if facts:
            prov = self.lattice.change(prov, facts=prov.facts | frozenset(facts))
        return prov

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
        prov = self._truth_about_tokens(op, a, b, prov)
        if isinstance(a, Array) or isinstance(b, Array):
            result = Array(prov)
            result.mask = True
            return result
        return Top(prov)

    def _truth_about_tokens(self, op: str, a: Value, b: Value, prov: Provenance) -> Provenance:
        """A comparison of a token, or of a fixed table's entry for it, with a number splits the vocabulary."""
        orders = op in {"<", "<=", ">", ">="}
        for value, bound in ((a, b), (b, a)):
            if not isinstance(bound, Const) or not isinstance(bound.value, int | float):
                continue
            if orders and bound.value == 0:
                return prov  # whether there is an entry at all
            tokens = value.prov.tokens
            if not orders or value.prov.flags & (P.TABLE | P.HASHED | P.NLL | P.WEIGHTS | P.OPAQUE):
                prov = uses.gate(self.lattice, prov)
            elif tokens and value.prov.flags & P.VAL and 1 < bound.value < uses.SMALL:
                prov = uses.used(self.lattice, prov, "gate", [token.position for token in tokens])
        return prov

    def _membership(self, op: str, a: Value, b: Value) -> bool | None:
        if op in {"is", "is not"} and isinstance(b, Const) and b.value is None:
            if isinstance(a, Top) or (isinstance(a, Union) and any(_is_none(v) for v in a.items)):
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

    def environment_has(self, name: str) -> bool:
        """Whether the launch sets an environment variable."""
        raise NotImplementedError

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

    def _if_exp(self, node: ir.IfExp) -> Value:
        test = self.eval(node.test)
        truth = self.truth(test)
        if truth is not None:
            return self.eval(node.body if truth else node.orelse)
        a, b = self.eval(node.body), self.eval(node.orelse)
        left, right = self.affine(a), self.affine(b)
        joined = self.join(a, b)
        if isinstance(joined, Top) and left is not None and right is not None and left != right:
            joined = Top(joined.prov, self.numbers.of(("phi", left, right)))
        if isinstance(joined, Top) and test.prov.deps:
            joined = Top(self.lattice.change(joined.prov, deps=joined.prov.deps | test.prov.deps), joined.affine)
        return self.chosen(test, joined, a, b)

    # -- comprehensions ----------------------------------------------------------------------------------------------

    def _comprehension(self, node: ir.Comprehension) -> Value:
        frame = self.frames[-1]
        outer = frame.scope
        frame.scope = Scope(outer, outer.file, self.lattice.none)
        collected: list[Value] = []
        keys: list[Value] = []
        owner = object()
        opened: list[Iteration] = []

        def any_element(element: Value) -> Value:
            iteration = Iteration(owner)
            opened.append(iteration)
            return self.refine(element, iteration, 0)

        def run(depth: int) -> bool:
            """Bind the clauses from ``depth`` on; whether the number of elements stays known."""
            if depth == len(node.clauses):
                if node.key is not None:
                    keys.append(self.eval(node.key))
                collected.append(self.eval(node.element))
                return True
            target, iterable_node, conditions = node.clauses[depth]
            iterable = self.iterated(self.eval(iterable_node))
            items = self.known_items(iterable)
            exact = items is not None and len(items) <= 24
            if items is None or not exact:
                items = [any_element(self.elements(iterable))]
            for position, item in enumerate(items):
                self.store(target, item)
                truths = [self.truth(self.eval(condition)) for condition in conditions]
                if False in truths:
                    continue
                exact = exact and None not in truths
                exact = run(depth + 1) and exact
                if exact and not position and _stack_of_layers(items, collected):
                    collected.clear()
                    self.store(target, any_element(Top(item.prov, self.numbers.fresh())))
                    run(depth + 1)
                    return False
            return exact

        try:
            exact = run(0)
        finally:
            frame.scope = outer
            for iteration in opened:
                iteration.end()
        none = self.lattice.none
        if node.kind == "dict":
            result = Dict({}, none)
            for key, value in zip(keys, collected, strict=False):
                self.store_item(result, key if exact else Top(self.deep(key)), value)
            return result
        if exact:
            return Seq(collected, None, none, node.kind)
        return Seq(None, self.join_all(collected) if collected else None, none, node.kind)


def _stack_of_layers(items: list[Value], made: list[Value]) -> bool:
    """Whether a comprehension counts objects that differ in their number only; one then stands for all.

    A model's layers are alike for the flow of data, and following each would multiply every forward pass.
    """
    numbered = len(items) > UNROLLED and all(isinstance(i, Const) and isinstance(i.value, int) for i in items)
    return numbered and len(made) == 1 and isinstance(made[0], Instance)


def _numeric(value: Value) -> bool:
    return isinstance(value, Const) and isinstance(value.value, int | float | bool)


def _is_none(value: Value) -> bool:
    return isinstance(value, Const) and value.value is None


def is_large(value: Value) -> bool:
    """Whether a value is, or holds, a constant as large as the multipliers of a hash."""
    if isinstance(value, Const):
        return isinstance(value.value, int) and abs(value.value) > 2048
    return bool(value.prov.flags & P.MULTIPLIER)


def _near_ln2(value: Value) -> bool:
    return (
        isinstance(value, Const)
        and isinstance(value.value, float)
        and (abs(value.value - LN2) < 1e-4 or abs(value.value - 1 / LN2) < 1e-4)
    )
