"""Reading elements of containers."""

from __future__ import annotations

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import uses
from auditor.flow.affine import Affine
from auditor.flow.arrays import Arrays
from auditor.flow.provenance import Provenance
from auditor.flow.values import (
    FLAT,
    Array,
    Const,
    Dict,
    Instance,
    Seq,
    Slice,
    Top,
    Tuple,
    Union,
    Value,
    is_none,
    is_plain,
)


class Elements(Arrays):
    """``owner[index]``."""

    def index_instance(self, owner: Instance, index: Value) -> Value:
        """``instance[index]``."""
        raise NotImplementedError

    def call_factory(self, owner: Dict) -> Value:
        """Make the default of a defaultdict."""
        raise NotImplementedError

    def store_item(self, owner: Value, index: Value, value: Value, accumulate: bool = False) -> None:
        """``owner[index] = value``."""
        raise NotImplementedError

    def load_item(self, owner: Value, index: Value, reading: bool = True) -> Value:
        """``owner[index]``; ``reading`` is False for the old value of an augmented assignment."""
        if isinstance(owner, Union):
            return self.join_all([self.load_item(v, index, reading) for v in owner.items if not is_none(v)])
        if isinstance(owner, Array):
            return self.index_array(owner, index, reading)
        if isinstance(owner, Tuple | Seq):
            return self._load_sequence(owner, index)
        if isinstance(owner, Dict):
            return self._load_dict(owner, index, reading)
        if isinstance(owner, Const) and isinstance(owner.value, str | bytes):
            if isinstance(index, Const) and isinstance(index.value, int) and abs(index.value) < len(owner.value):
                return Const(owner.value[index.value], owner.prov)
            if isinstance(index, Slice):
                return self._slice_text(owner, index)
        if isinstance(owner, Instance):
            return self.index_instance(owner, index)
        prov = self.lattice.union(owner.prov, self.deep(index))
        if reading and index.prov.flags & P.VAL:
            prov = self.read_table(owner, index, prov)
        if isinstance(index, Slice) and prov.flags & P.VAL:
            return Array(prov)
        return Top(prov, self.numbers.fresh())

    def _slice_text(self, owner: Const, index: Slice) -> Value:
        lower = index.lower.value if isinstance(index.lower, Const) else None
        upper = index.upper.value if isinstance(index.upper, Const) else None
        if (index.lower is None or isinstance(lower, int)) and (index.upper is None or isinstance(upper, int)):
            return Const(owner.value[lower:upper], owner.prov)
        return Top(owner.prov)

    def _load_sequence(self, owner: Tuple | Seq, index: Value) -> Value:
        items = self.known_items(owner)
        if isinstance(index, Const) and isinstance(index.value, int) and items is not None:
            if -len(items) <= index.value < len(items):
                item = items[index.value]
                # Lists of positions, such as those of each phase: other iterations take other ones.
                return self.depending(item, index.prov) if isinstance(item, Seq) and index.prov.deps else item
            return Top(owner.prov)
        if isinstance(index, Slice):
            lower = index.lower.value if isinstance(index.lower, Const) else None
            upper = index.upper.value if isinstance(index.upper, Const) else None
            exact = (index.lower is None or isinstance(lower, int)) and (index.upper is None or isinstance(upper, int))
            if items is not None and exact:
                part = items[lower:upper]
                return Tuple(tuple(part), owner.prov) if isinstance(owner, Tuple) else Seq(part, None, owner.prov)
            element = self.elements(owner) if items is None or items else None
            flat = isinstance(owner, Seq) and owner.kind == FLAT
            if element is not None and flat:
                element = self._at(element, index.lower or self.const(0))
            if element is not None and index.prov.deps:
                element = self.depending(element, index.prov)
            return Seq(None, element, owner.prov, FLAT if flat else "list")
        element = self.elements(owner)
        if isinstance(owner, Seq) and owner.kind == FLAT:
            element = self._at(element, index)
        elif isinstance(index, Const) and index.value == 0:
            return self._first(element)
        if index.prov.flags & P.HASHED and isinstance(element, Const | Top):
            return Top(
                self.read_table(owner, index, self.lattice.union(element.prov, index.prov)), self.numbers.fresh()
            )
        return self.depending(element, index.prov) if index.prov.deps else element

    def _first(self, element: Value) -> Value:
        """The first element of a list, by what any reads; in a loop that chooses the list, lists have their own."""
        if isinstance(element, Tuple):
            return Tuple(tuple(self._first(item) for item in element.items), element.prov)
        if not isinstance(element, Top) or element.affine is None or P.live(element.prov.deps):
            return element
        return Top(element.prov, self.numbers.first(element.affine), element.text)

    def _at(self, first: Value, index: Value) -> Value:
        """The element of a list at an index, by the one that stands for its first."""
        if not isinstance(first, Top):
            return first
        at = self.affine(index)
        if at is not None and not at.terms and at.const < 0:
            at = None  # counted from an end whose place is not known

        def move(position: Affine) -> Affine:
            moved = self.numbers.at(position, at) if at is not None else None
            return moved or self.numbers.of(("at", position, index))

        prov = first.prov
        tokens = [token._replace(position=move(token.position)) for token in prov.tokens]
        prov = self.lattice.change(prov, tokens=frozenset(tokens), uses=uses.moved(prov.uses, move))
        return Top(prov, move(first.affine) if first.affine is not None else None)

    def depending(self, element: Value, prov: Provenance) -> Value:
        """An element chosen by an index: other iterations choose other elements."""
        if isinstance(element, Const | Top):
            merged = self.lattice.change(element.prov, deps=element.prov.deps | prov.deps)
            merged = self._deeper(merged, prov)
            return self.with_prov(element, merged)
        if isinstance(element, Tuple):
            return Tuple(tuple(self.depending(i, prov) for i in element.items), element.prov)
        if isinstance(element, Union) and all(isinstance(item, Seq) or is_plain(item) for item in element.items):
            return self.join_all([self.depending(item, prov) for item in element.items])
        if isinstance(element, Array) and not element.role:
            merged = self.lattice.change(element.prov, deps=element.prov.deps | prov.deps)
            return self.with_prov(element, self._deeper(merged, prov))
        if isinstance(element, Seq):
            inner = [self.depending(i, prov) for i in element.items] if element.items is not None else None
            summary = self.depending(element.element, prov) if element.element is not None else None
            if not is_plain(self.elements(element)):
                return element
            sight = Seq(inner, summary, element.prov, element.kind)
            sight.origin = element
            return sight
        return element

    def _deeper(self, prov: Provenance, index: Provenance) -> Provenance:
        if not prov.regions or not index.deps:
            return prov
        regions = frozenset(r._replace(deps=P.live(r.deps) | index.deps) for r in prov.regions)
        return self.lattice.change(prov, regions=regions)

    def _load_dict(self, owner: Dict, index: Value, reading: bool) -> Value:
        if isinstance(index, Const) and hashable(index.value):
            known = owner.known.get(index.value)
            if known is not None:
                return known if owner.element is None else self.join(known, owner.element)
            if owner.element is None and owner.factory is not None:
                made = self.call_factory(owner)
                self.store_item(owner, index, made)
                return made
        if owner.element is None and not owner.known:
            if owner.factory is not None:
                made = self.call_factory(owner)
                self.store_item(owner, index, made)
                return made
            return Top(self.lattice.union(owner.prov, self.deep(index)))
        values = [*owner.known.values(), *([owner.element] if owner.element is not None else [])]
        value = self.join_all(values)
        if isinstance(value, Const | Top | Array):
            prov, key = self.lattice.merge(value.prov, owner.prov), self.deep(index)
            if key.flags & P.VAL:
                prov = self.lattice.union(prov, key)
                prov = self.read_table(owner, index, prov) if reading else prov
            elif key.flags & P.BYTES:
                prov = self.lattice.flagged(prov, P.LEARNED_BYTES)
            return self.with_prov(value, prov) if not (isinstance(value, Array) and value.role) else value
        return self.depending(value, index.prov) if index.prov.deps else value


def hashable(value: object) -> bool:
    """Whether a constant may be a key."""
    return isinstance(value, str | int | float | bytes | bool | type(None))
