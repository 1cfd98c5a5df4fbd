"""Assignment: names, attributes and elements of containers."""

from __future__ import annotations

from auditor.flow import ir, uses
from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.elements import Elements, hashable
from auditor.flow.values import (
    Array,
    Const,
    Dict,
    Instance,
    Scope,
    Seq,
    Slice,
    Top,
    Tuple,
    Union,
    Value,
    fingerprint,
    is_none,
)


class Stores(Elements):
    """``target = value``."""

    def set_attribute(self, owner: Value, name: str, value: Value) -> None:
        """``owner.name = value``."""
        raise NotImplementedError

    def eval(self, node: ir.Expr) -> Value:
        """The value of an expression."""
        raise NotImplementedError

    def truth(self, value: Value) -> bool | None:
        """Whether a value counts as true, where that is known."""
        raise NotImplementedError

    def bind(self, name: str, value: Value) -> None:
        """Bind a name in the present scope, or where ``global`` and ``nonlocal`` say."""
        scope = self.frames[-1].scope
        if name in scope.globals_:
            outer = scope.outer
            while outer is not None and outer.outer is not None and name not in outer.names:
                outer = outer.outer
            scope = outer or scope
        self.heap.touch(scope)
        scope.names[name] = value

    def store(self, target: ir.Expr, value: Value) -> None:
        """Assign to a target."""
        if isinstance(target, ir.Name):
            self.bind(target.id, value)
        elif isinstance(target, ir.Attribute):
            self.set_attribute(self.eval(target.value), target.attr, value)
        elif isinstance(target, ir.Subscript):
            self.store_item(self.eval(target.value), self.eval(target.index), value)
        elif isinstance(target, ir.Sequence):
            self._unpack(target.items, value)
        elif isinstance(target, ir.Starred):
            self.store(target.value, value)

    def _unpack(self, targets: list[ir.Expr], value: Value) -> None:
        items = self.known_items(value)
        starred = any(isinstance(t, ir.Starred) for t in targets)
        if items is not None and len(items) == len(targets) and not starred:
            for target, item in zip(targets, items, strict=True):
                self.store(target, item)
            return
        if isinstance(value, Union):
            tuples = [v for v in value.items if isinstance(v, Tuple) and len(v.items) == len(targets)]
            if tuples and not starred:
                for i, target in enumerate(targets):
                    self.store(target, self.join_all([t.items[i] for t in tuples]))
                return
        element = self.elements(value)
        for target in targets:
            if isinstance(target, ir.Starred):
                self.store(target.value, Seq(None, element, value.prov))
            else:
                self.store(target, element)

    def store_item(self, owner: Value, index: Value, value: Value, accumulate: bool = False) -> None:
        """``owner[index] = value``."""
        if isinstance(owner, Union):
            for item in owner.items:
                if not is_none(item):
                    self.store_item(item, index, value, accumulate)
        elif isinstance(owner, Array):
            self._store_array(owner, index, value, accumulate)
        elif isinstance(owner, Dict):
            self._store_dict(owner, index, value, accumulate)
        elif isinstance(owner, Seq):
            self._store_seq(owner, index, value)
        elif isinstance(owner, Instance | Scope):
            self.heap.touch(owner)
            owner.prov = self.lattice.merge(owner.prov, self.deep(value))

    def _store_dict(self, owner: Dict, index: Value, value: Value, accumulate: bool) -> None:
        if isinstance(index, Const) and hashable(index.value) and len(owner.known) < 400:
            before = owner.known.get(index.value)
            if before is None or fingerprint(before) != fingerprint(value):
                self.heap.touch(owner)
                owner.known[index.value] = value
            return
        self.heap.touch(owner)
        learned = self.learned(index, "table")
        owner.key = self.join(owner.key, index)
        owner.element = self.join(owner.element, value if learned is None else self.counted(value, accumulate))
        owner.prov = self.lattice.merge(owner.prov, learned or self.keyed_by_training(index))

    def _store_seq(self, owner: Seq, index: Value, value: Value) -> None:
        self.heap.touch(owner)
        known = owner.items
        if isinstance(index, Const) and isinstance(index.value, int) and known is not None:
            if -len(known) <= index.value < len(known):
                known[index.value] = value
            return
        if isinstance(index, Slice):
            value = self.elements(value)
        self.summarise(owner)
        owner.element = self.join(owner.element, value)

    def _store_array(self, owner: Array, index: Value, value: Value, accumulate: bool) -> None:
        if isinstance(index, Array) and value.prov.flags & P.NLL and owner.prov.flags & P.NLL:
            value = self.chosen(index, value, value, owner)
        learned = self.learned(index, "table", owner)
        prov = self.deep(value if learned is None else self.counted(value, accumulate))
        prov = self.lattice.merge(prov, self.keyed_by_training(index))
        if owner.prov.flags & _ACTIVATION and not owner.role and self.learned(index, "table") is not None:
            # An edit of what the model has just computed is no statistic; at the target's own entry it is an answer.
            last = index.items[-1] if isinstance(index, Tuple) and index.items else index
            if not last.prov.flags & (P.TABLE | P.HASHED | P.OPAQUE):
                prov = uses.used(self.lattice, prov, "felt", [token.position for token in last.prov.tokens])
        elif learned is not None:
            prov = self.lattice.merge(self.without_tokens(prov), learned)
        elif isinstance(index, Tuple) or owner.ndim != 1:
            _, _, sliced = self.shift(owner, index)
            if sliced and not prov.flags & (P.VAL | P.NLL):
                self._mask_written(owner, index, value)
        if isinstance(value, Array) and value.start is not None and owner.start is None and not owner.role:
            self.heap.touch(owner)
            owner.start = value.start
        if isinstance(index, Array) and not prov.tokens:
            prov = self.masked(prov, owner.prov)
        self.write(owner, prov)

    def _mask_written(self, owner: Array, index: Value, value: Value) -> None:
        """A mask that is set over part of each row."""
        truth = self.truth(value)
        root = owner
        while root.base is not None:
            root = root.base
        if truth is not False:
            self.heap.touch(root)
            root.span = self.cut(index)
            if owner is not root:
                owner.span = root.span

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


_ACTIVATION = P.WEIGHTS | P.PROBABILITY | P.LOG_PROBABILITY
