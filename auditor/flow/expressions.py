"""Expressions other than calls: names, attributes, subscripts, displays, texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from auditor.flow import ir
from auditor.flow.comprehensions import Comprehensions
from auditor.flow.operators import HUGE, MANY
from auditor.flow.values import Closure, Const, Dict, External, Scope, Seq, Slice, Top, Tuple, Value


class Expressions(Comprehensions):
    """Evaluates expressions."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.sorted_names = set()
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

    def attribute(self, owner: Value, name: str) -> Value:
        """``owner.name``."""
        raise NotImplementedError

    def call(self, function: Value, args: list[Value], keywords: dict[str, Value]) -> Value:
        """Call a value."""
        raise NotImplementedError

    # -- leaves and displays -------------------------------------------------------------------------------------------

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
            return result if result.size <= MANY else Seq(None, self.join_all(items), prov)
        if summary is not None:
            return Seq(None, self.join_all([*items, summary]), prov, node.kind)
        if len(items) > 64:
            return Seq(None, self.join_all(items[:64]), prov, node.kind)
        return Seq(items, None, prov, node.kind)

    def _mapping(self, node: ir.Mapping) -> Value:
        result = Dict({}, self.lattice.none)
        for key, item in node.items:
            value = self.eval(item)
            if key is None:
                self.update_dict(result, value)
            else:
                self.store_item(result, self.eval(key), value)
        return result

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
            if len(text) > HUGE:
                return Top(prov)
        return Const(text, prov) if exact else Top(prov, None, text)

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
