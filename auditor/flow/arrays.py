"""Arrays and containers: reading and writing elements, views, tables, and what learning from tokens means."""

from __future__ import annotations

from auditor.flow import ir, uses
from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.affine import ZERO, Affine
from auditor.flow.engine import Engine
from auditor.flow.provenance import Fact, Mark, Provenance, Read, Region, Site, Span, Token
from auditor.flow.values import Array, Const, Dict, Instance, Scope, Seq, Slice, Top, Tuple, Union, Value, fingerprint


class Arrays(Engine):
    """Element access."""

    def set_attribute(self, owner: Value, name: str, value: Value) -> None:
        """``owner.name = value``."""
        raise NotImplementedError

    def eval(self, node: ir.Expr) -> Value:
        """The value of an expression."""
        raise NotImplementedError

    def known_items(self, value: Value) -> list[Value] | None:
        """The elements of an iterable whose length is known."""
        raise NotImplementedError

    def truth(self, value: Value) -> bool | None:
        """Whether a value counts as true, where that is known."""
        raise NotImplementedError

    # -- stores ------------------------------------------------------------------------------------------------------

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

    # -- reads -------------------------------------------------------------------------------------------------------

    def load_item(self, owner: Value, index: Value, reading: bool = True) -> Value:
        """``owner[index]``; ``reading`` is False for the old value of an augmented assignment."""
        if isinstance(owner, Union):
            return self.join_all([self.load_item(v, index, reading) for v in owner.items if not _none(v)])
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

    def index_instance(self, owner: Instance, index: Value) -> Value:
        """``instance[index]``."""
        raise NotImplementedError

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
                return items[index.value]
            return Top(owner.prov)
        if isinstance(index, Slice):
            lower = index.lower.value if isinstance(index.lower, Const) else None
            upper = index.upper.value if isinstance(index.upper, Const) else None
            exact = (index.lower is None or isinstance(lower, int)) and (index.upper is None or isinstance(upper, int))
            if items is not None and exact:
                part = items[lower:upper]
                return Tuple(tuple(part), owner.prov) if isinstance(owner, Tuple) else Seq(part, None, owner.prov)
            element = self.elements(owner) if items is None or items else None
            if element is not None and index.prov.deps:
                element = self.depending(element, index.prov)
            return Seq(None, element, owner.prov)
        element = self.elements(owner)
        if index.prov.flags & P.HASHED and isinstance(element, Const | Top):
            return Top(
                self.read_table(owner, index, self.lattice.union(element.prov, index.prov)), self.numbers.fresh()
            )
        return self.depending(element, index.prov) if index.prov.deps else element

    def depending(self, element: Value, prov: Provenance) -> Value:
        """An element chosen by an index: other iterations choose other elements."""
        if isinstance(element, Const | Top):
            merged = self.lattice.change(element.prov, deps=element.prov.deps | prov.deps)
            merged = self._deeper(merged, prov)
            return self.with_prov(element, merged)
        if isinstance(element, Tuple):
            return Tuple(tuple(self.depending(i, prov) for i in element.items), element.prov)
        if isinstance(element, Array) and not element.role:
            merged = self.lattice.change(element.prov, deps=element.prov.deps | prov.deps)
            return self.with_prov(element, self._deeper(merged, prov))
        if isinstance(element, Seq):
            inner = [self.depending(i, prov) for i in element.items] if element.items is not None else None
            summary = self.depending(element.element, prov) if element.element is not None else None
            if not self._scalars(element):
                return element
            sight = Seq(inner, summary, element.prov, element.kind)
            sight.origin = element
            return sight
        return element

    def _scalars(self, seq: Seq) -> bool:
        return isinstance(self.elements(seq), Const | Top | Tuple)

    def _deeper(self, prov: Provenance, index: Provenance) -> Provenance:
        if not prov.regions or not index.deps:
            return prov
        regions = frozenset(r._replace(deps=P.live(r.deps) | index.deps) for r in prov.regions)
        return self.lattice.change(prov, regions=regions)

    def _load_dict(self, owner: Dict, index: Value, reading: bool) -> Value:
        if isinstance(index, Const) and _hashable(index.value):
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
            prov = self.lattice.merge(value.prov, owner.prov)
            if index.prov.flags & P.VAL:
                prov = self.lattice.union(prov, self.deep(index))
                prov = self.read_table(owner, index, prov) if reading else prov
            elif index.prov.flags & P.BYTES:
                prov = self.lattice.flagged(prov, P.LEARNED_BYTES)
            return self.with_prov(value, prov) if not (isinstance(value, Array) and value.role) else value
        return self.depending(value, index.prov) if index.prov.deps else value

    def call_factory(self, owner: Dict) -> Value:
        """Make the default of a defaultdict."""
        raise NotImplementedError

    def shift(self, array: Array, index: Value) -> tuple[Affine | None, Affine | None, bool]:
        """How far an index moves into the last axis of an array: (low, high, whether it is a slice)."""
        last: Value | None = index
        if isinstance(index, Tuple):
            slices = [i for i in index.items if isinstance(i, Slice)]
            if slices:
                last = slices[-1] if isinstance(index.items[-1], Slice) else None
            else:
                last = index.items[-1] if index.items else None
        if isinstance(last, Slice):
            low = ZERO if last.lower is None else self.affine(last.lower)
            if isinstance(last.lower, Const) and isinstance(last.lower.value, int) and last.lower.value < 0:
                low = None
            return low, self.affine(last.upper) if last.upper is not None else None, True
        if last is None or (not isinstance(index, Tuple) and array.ndim is not None and array.ndim > 1):
            return ZERO, None, False
        return self.affine(last), None, False

    def index_array(self, array: Array, index: Value, reading: bool = True) -> Value:
        """Index or slice an array: a view that knows where in the stream it starts."""
        lattice = self.lattice
        if (
            isinstance(index, Slice)
            and index.lower is None
            and isinstance(index.upper, Const)
            and index.upper.value == 0
        ):
            return Array(lattice.none, None, array.ndim)
        if array.columns is not None and isinstance(index, Tuple) and len(index.items) == 2:
            array, index = self._column(array, array.columns, index), index.items[0]
        index_prov = self.deep(index)
        selects = isinstance(index, Array) and index.mask
        if selects:
            index_prov = self.positional(index_prov)
        if index_prov.reads:
            index_prov = lattice.change(index_prov, reads=())  # a mask made of counts is no count
        if array.prov.flags & P.VAL and array.prov.tokens and not array.prov.flags & P.HASHED:
            # Where in the stream is not what is there, even where positions come from document marks in it.
            index_prov = self.positional(index_prov)
            reading = False
        prov = lattice.union(array.prov, index_prov)
        low, high, sliced = (ZERO, None, False) if selects else self.shift(array, index)
        if reading and index_prov.flags & P.VAL:
            prov = self.read_table(array, index, prov)
        elif reading and index_prov.flags & P.BYTES and not array.prov.flags & P.BYTES:
            prov = lattice.flagged(prov, P.LEARNED_BYTES)
        start = None
        if array.start is not None and low is not None:
            start = array.start.plus(low)
        if array.prov.flags & P.VAL and array.prov.tokens and not array.prov.flags & P.HASHED:
            tokens = self._moved(array.prov, low, index) | index_prov.tokens
            prov = lattice.change(prov, tokens=tokens)
        if array.prov.uses:
            prov = lattice.change(prov, uses=self._moved_uses(array.prov, low, index) | index_prov.uses)
        if array.prov.flags & (P.PROBABILITY | P.LOG_PROBABILITY) and index_prov.flags & P.VAL:
            prov = lattice.flagged(prov, P.NLL, P.PROBABILITY | P.LOG_PROBABILITY)  # picked out at the tokens
            prov = self.picked(prov, index_prov)
        if array.prov.regions:
            prov = self._narrow(prov, array, index, low, high, sliced)
        if array.prov.flags & P.STREAM and (sliced or index_prov.deps or not isinstance(index, Const)):
            prov = lattice.flagged(prov, 0, P.STREAM)
        if isinstance(index, Const) and isinstance(index.value, int) and array.ndim == 1:
            return Top(prov, start)
        if not sliced and array.ndim == 1 and isinstance(index, Top):
            return Top(prov, start if start is not None else None)
        role = array.role
        view = Array(prov, start, array.ndim if selects else self._axes(array, index), array, role)
        view.span, view.mask = array.span, array.mask
        return view

    @staticmethod
    def _axes(array: Array, index: Value) -> int | None:
        if isinstance(index, Array):
            return index.ndim
        if isinstance(index, Slice):
            return array.ndim
        if array.ndim is None or isinstance(index, Tuple):
            return None
        return max(array.ndim - 1, 1)

    def _column(self, array: Array, first: tuple[Token, ...], index: Tuple) -> Array:
        """One or several columns of windows over the stream."""
        low, high, sliced = self.shift(array, index)
        lower = low.const if low is not None and not low.terms else 0
        width = len(array.prov.tokens) // len(first)
        lower = lower + width if lower < 0 else lower
        upper = high.const if sliced and high is not None and not high.terms else width
        upper = upper + width if upper < 0 else min(upper, width)
        if not sliced and low is not None and not low.terms:
            upper = lower + 1
        kept = {t.position.plus(Affine(k)) for t in first for k in range(lower, upper)}
        tokens = frozenset(t for t in array.prov.tokens if t.position in kept)
        return Array(self.lattice.change(array.prov, tokens=tokens), None, 2 if sliced else 1)

    def masked(self, prov: Provenance, tokens: Provenance) -> Provenance:
        """Of an array in which some tokens were replaced by something else."""
        return uses.used(self.lattice, prov, "masked", [token.position for token in tokens.tokens])

    def settled(self, value: Value) -> Value:
        """A score that is summed up is finished: what it shows of its own tokens is noted."""
        found = uses.leaks(value.prov, self.lattice.site) if value.prov.flags & P.NLL else []
        return self.add_facts(value, found) if found else value

    def oracle(self, a: Provenance, b: Provenance) -> bool:
        """Whether two values are scores of the same tokens."""
        both = a.flags & b.flags & P.NLL and not (a.flags | b.flags) & P.SUMMED
        return bool(both) or uses.same_token(a, b)

    def better(self, value: Value) -> Value:
        """A value that was chosen from two scores of a token by comparing them."""
        site = self.lattice.site
        return self.add_facts(value, [Fact("oracle", site, ((site, "the better of two scores of a token is kept"),))])

    def chosen(self, test: Value, value: Value, a: Value, b: Value) -> Value:
        """``value`` is ``a`` or ``b``, as ``test`` says."""
        if test.prov.flags & P.GOLD_COMPARED and self.oracle(a.prov, b.prov):
            return self.better(value)
        gates = uses.gate(self.lattice, test.prov)
        truths = uses.positions(gates, "gate")
        if not truths:
            return value
        if a.prov.flags & b.prov.flags & P.NLL and truths & uses.scored(a.prov) & uses.scored(b.prov):
            gates = uses.gated(self.lattice, gates)
        kept = frozenset(use for use in gates.uses if use.kind in {"gate", "gated"})
        return self.with_prov(value, self.lattice.change(value.prov, uses=value.prov.uses | kept))

    def _moved_uses(self, prov: Provenance, low: Affine | None, index: Value) -> frozenset[P.Use]:
        if prov.flags & P.WEIGHTS and not prov.flags & P.NLL:
            return prov.uses  # the last axis of activations is no time axis

        def move(position: Affine) -> Affine:
            if low is None:
                return self.numbers.of(("at", position, id(index)))
            return position.plus(low) or self.numbers.of(("at", position, low))

        return uses.moved(prov.uses, move)

    def picked(self, prov: Provenance, index: Provenance) -> Provenance:
        """An entry of a distribution, picked at tokens: those are the ones it scores."""
        if index.flags & (P.TABLE | P.HASHED | P.OPAQUE):
            return prov  # picked at a hint, whose own position is not known
        return uses.used(self.lattice, prov, "gold", [token.position for token in index.tokens])

    def _moved(self, prov: Provenance, low: Affine | None, index: Value) -> frozenset[Token]:
        site = self.lattice.site
        moved = set()
        for token in prov.tokens:
            if low is None:
                position = self.numbers.of(("at", token.position, id(index)))
            else:
                position = token.position.plus(low) or self.numbers.of(("at", token.position, low))
            moved.add(Token(position, token.reduced, site if prov.flags & P.STREAM else token.site))
        return frozenset(moved)

    def _narrow(
        self, prov: Provenance, array: Array, index: Value, low: Affine | None, high: Affine | None, sliced: bool
    ) -> Provenance:
        """The regions of a part of an array of tokens, or of scores of tokens."""
        deps = self.deep(index).deps
        stream = bool(array.prov.flags & P.STREAM)
        regions = set()
        for region in prov.regions:
            moved = region._replace(deps=P.live(region.deps) | deps)
            if stream:
                moved = Region(moved.deps, None, low if sliced else None, high, self.lattice.site)
            elif sliced and isinstance(index, Tuple):
                moved = moved._replace(span=Span(low, high))
            regions.add(moved)
        facts = prov.facts
        if sliced and isinstance(index, Tuple) and not stream:
            facts = frozenset(f for f in facts if not _outside(f, Span(low, high)))
        return self.lattice.change(prov, regions=regions, facts=facts)

    def narrowed(self, prov: Provenance, span: Span) -> Provenance:
        """Regions under a mask that covers only a span of each window."""
        regions = frozenset(r._replace(span=span) for r in prov.regions)
        facts = frozenset(f for f in prov.facts if not _outside(f, span))
        return self.lattice.change(prov, regions=regions, facts=facts)

    # -- tables ------------------------------------------------------------------------------------------------------

    def reduced(self, prov: Provenance) -> Provenance:
        """A hash went through a modulus or mask: its tokens can collide from here on."""
        if all(t.reduced for t in prov.tokens):
            return prov
        return self.lattice.change(prov, tokens=frozenset(t._replace(reduced=True) for t in prov.tokens))

    def read_table(self, owner: Value, index: Value, prov: Provenance) -> Provenance:
        """Note that a table was read by a key made of tokens."""
        parts = index.items if isinstance(index, Tuple) else (index,)
        hashed = [p for p in parts if p.prov.flags & P.HASHED]
        if not hashed:
            return self._looked_up(owner, index, self.lattice.flagged(prov, P.TABLE))
        key = self.prov_of(hashed)
        tokens = key.tokens
        if not any(t.reduced for t in tokens):
            return self.lattice.flagged(prov, P.TABLE)
        table = owner
        while isinstance(table, Array) and table.base is not None:
            table = table.base
        read = Read(id(table), tokens, bool(key.flags & P.VOCABULARY), self.lattice.site)
        self.keep(table)
        return self.lattice.change(
            prov, flags=(prov.flags | P.TABLE) & ~(P.HASHED | P.VOCABULARY), reads=prov.reads | {read}, tokens=()
        )

    def _looked_up(self, owner: Value, index: Value, prov: Provenance) -> Provenance:
        """An entry for a token: of counts it is a score of the token, of a fixed table a truth about it."""
        key = self.deep(index)
        if key.flags & (P.TABLE | P.OPAQUE):
            return prov
        at = [token.position for token in key.tokens]
        fixed = owner.prov.flags & _FIXED and not owner.prov.marks and not owner.prov.flags & _COMPUTED
        if fixed and not isinstance(index, Tuple):
            return uses.used(self.lattice, prov, "look", at)
        return uses.used(self.lattice, prov, "count", at)

    def keep(self, value: Value) -> None:
        """Hold a reference, so that an identity stays unique."""
        self.kept.append(value)

    kept: list[Value]

    def ratio_facts(self, a: Provenance, b: Provenance) -> list[Fact]:
        """What a ratio of two table reads shows: a key that contains the candidate, or a sum that is none."""
        facts: list[Fact] = []
        site = self.lattice.site
        if b.flags & P.ROW_SUM:
            return facts
        for top in a.reads:
            for bottom in b.reads:
                if top.table == bottom.table and top.tokens == bottom.tokens:
                    continue
                there, here = {t.position for t in bottom.tokens}, {t.position for t in top.tokens}
                extra = [t for t in top.tokens if t.reduced and t.position not in there]
                if extra and not there - here and not top.vocabulary:
                    token = min(extra, key=lambda t: t.site)
                    steps: tuple[tuple[Site, str], ...] = (
                        (token.site, "the token to be predicted is read here"),
                        (top.site, "a table is read by a hashed key that contains it"),
                        (bottom.site, "another table is read by a key without it"),
                        (site, "their ratio is used as the token's probability"),
                    )
                    facts.append(Fact("target-key", top.site, steps))
                elif top.vocabulary and not bottom.vocabulary and not extra:
                    steps = (
                        (top.site, "counts of all candidates are read by hashed keys"),
                        (bottom.site, "the denominator is another table's count, not their sum"),
                        (site, "the ratio does not sum to one over the vocabulary"),
                    )
                    facts.append(Fact("unnormalised", site, steps))
        return facts

    # -- writes ------------------------------------------------------------------------------------------------------

    def store_item(self, owner: Value, index: Value, value: Value, accumulate: bool = False) -> None:
        """``owner[index] = value``."""
        if isinstance(owner, Union):
            for item in owner.items:
                if not _none(item):
                    self.store_item(item, index, value, accumulate)
        elif isinstance(owner, Array):
            self._store_array(owner, index, value)
        elif isinstance(owner, Dict):
            self._store_dict(owner, index, value)
        elif isinstance(owner, Seq):
            self._store_seq(owner, index, value)
        elif isinstance(owner, Instance | Scope):
            self.heap.touch(owner)
            owner.prov = self.lattice.merge(owner.prov, self.deep(value))

    def _store_dict(self, owner: Dict, index: Value, value: Value) -> None:
        if isinstance(index, Const) and _hashable(index.value) and len(owner.known) < 400:
            before = owner.known.get(index.value)
            if before is None or fingerprint(before) != fingerprint(value):
                self.heap.touch(owner)
                owner.known[index.value] = value
            return
        self.heap.touch(owner)
        owner.key = self.join(owner.key, index)
        owner.element = self.join(owner.element, value)
        learned = self.learned(index, "table") or self.keyed_by_training(index)
        owner.prov = self.lattice.merge(owner.prov, learned)

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

    def _store_array(self, owner: Array, index: Value, value: Value) -> None:
        if isinstance(index, Array) and value.prov.flags & P.NLL and owner.prov.flags & P.NLL:
            value = self.chosen(index, value, value, owner)
        prov = self.deep(value)
        learned = self.learned(index, "table", owner)
        prov = self.lattice.merge(prov, self.keyed_by_training(index))
        if owner.prov.flags & _ACTIVATION and not owner.role and self.learned(index, "table") is not None:
            # An edit of what the model has just computed is no statistic; at the target's own entry it is an answer.
            last = index.items[-1] if isinstance(index, Tuple) and index.items else index
            if not last.prov.flags & (P.TABLE | P.HASHED | P.OPAQUE):
                prov = uses.used(self.lattice, prov, "felt", [token.position for token in last.prov.tokens])
        elif learned is not None:
            prov = self.lattice.merge(self.without_tokens(prov), learned)
        elif isinstance(index, Tuple) or owner.ndim != 1:
            low, high, sliced = self.shift(owner, index)
            if sliced and not prov.flags & (P.VAL | P.NLL):
                self._mask_written(owner, low, high, value)
        if isinstance(value, Array) and value.start is not None and owner.start is None and not owner.role:
            self.heap.touch(owner)
            owner.start = value.start
        if isinstance(index, Array) and not prov.tokens:
            prov = self.masked(prov, owner.prov)
        self.write(owner, prov)

    def _mask_written(self, owner: Array, low: Affine | None, high: Affine | None, value: Value) -> None:
        """A mask that is set over part of each row."""
        truth = self.truth(value)
        root = owner
        while root.base is not None:
            root = root.base
        if truth is not False:
            self.heap.touch(root)
            root.span = Span(low, high)
            if owner is not root:
                owner.span = root.span

    def positional(self, prov: Provenance) -> Provenance:
        """Of a position: the loop iterations that it depends on, and what was found on its way."""
        if not prov.regions and not prov.flags & P.VAL:
            return prov
        return self.lattice.make(prov.flags & ~(P.VAL | P.HASHED | P.STREAM), prov.deps, (), prov.marks, prov.facts)

    def without_tokens(self, prov: Provenance) -> Provenance:
        """The same without stretches and tokens: for what is stored under a key, which the key's mark covers."""
        if not prov.regions and not prov.tokens:
            return prov
        return self.lattice.change(prov, regions=(), tokens=(), reads=(), flags=prov.flags & ~(P.VAL | P.HASHED))

    def learned(self, index: Value, kind: str, owner: Value | None = None) -> Provenance | None:
        """The mark that a write by a key of validation tokens leaves; none in what is made anew for each window."""
        key = self.deep(index)
        if isinstance(owner, Array | Dict) and self._is_fresh(owner, key.deps):
            return None
        if not key.flags & P.VAL or not key.regions or key.flags & (P.WEIGHTS | P.NLL | P.PROBABILITY):
            return None  # not a key of tokens
        return self.lattice.make(marks=[Mark(kind, key.regions, self.lattice.site, self.stack(), self.phase)])

    def _is_fresh(self, owner: Array | Dict, deps: P.Deps) -> bool:
        """Whether a table was made in the loop whose iteration chose the window that is entered into it."""
        root: Array | Dict = owner
        while isinstance(root, Array) and root.base is not None:
            root = root.base
        return any(loop.iteration in deps and root.birth > loop.birth for loop in self.loops)

    def keyed_by_training(self, index: Value) -> Provenance:
        """What a write by a key made of training tokens leaves."""
        key = self.deep(index)
        if not key.flags & P.TRAIN:
            return self.lattice.none
        return self.lattice.make(P.TRAIN, facts=self.lattice.trained(key))

    def from_training(self, kind: str) -> Fact:
        """Training data are read, or go into a parameter, here and now."""
        site = self.lattice.site
        return Fact("train", site, (), True, Mark(kind, frozenset(), site, self.stack(), self.phase))

    phase = 0
    """How many times weights were written to a file."""
    reloaded = -1
    """The phase in which weights were last read back from one."""

    def write(self, array: Array, prov: Provenance, replace: bool = False, kind: str | None = None) -> bool:
        """Change an array's content, and that of what it is a view of; whether it was a parameter.

        A value computed from validation tokens that goes into a parameter is learning.
        """
        learns = bool(array.role) and bool(prov.regions) and bool(prov.flags & P.VAL)
        if learns:
            kind = kind or ("weights" if array.role == "parameter" else "slot")
            mark = Mark(kind, prov.regions, self.lattice.site, self.stack(), self.phase, array.rows)
            others = {m for m in prov.marks if m.kind != "gradient"}  # this mark says the same of the array
            prov = self.lattice.make(P.WEIGHTS, marks=others | {mark}, facts=())
        elif array.role == "parameter" and prov.flags & P.TRAIN:
            facts = prov.facts - self.lattice.trained(prov) | {self.from_training("weights")}
            prov = self.lattice.change(prov, flags=prov.flags & ~P.TRAIN, facts=facts)
        target: Array | None = array
        first = True
        while target is not None:
            after = prov if replace and (first or array.role) else self.lattice.merge(target.prov, prov)
            if array.role and not after.flags & P.WEIGHTS:
                after = self.lattice.flagged(after, P.WEIGHTS)
            if after is not target.prov:
                self.heap.touch(target)
                if target.role:
                    self.heap.advance()
                target.prov = after
            target, first = target.base, False
        return bool(array.role)


_FIXED = P.BYTES | P.ARTIFACT
_ACTIVATION = P.WEIGHTS | P.PROBABILITY | P.LOG_PROBABILITY
_COMPUTED = P.VAL | P.TRAIN | P.WEIGHTS | P.NLL | P.PROBABILITY | P.LOG_PROBABILITY


def _outside(fact: Fact, span: Span) -> bool:
    """Whether a conflict is about other offsets of the window than the span that is kept."""
    if fact.kind != "conflict" or fact.mark is None:
        return False
    kept = [r for r in fact.mark.regions if r.span is not None]
    if len(kept) != len(fact.mark.regions):
        return False
    return all(_apart(r.span, span) for r in kept if r.span is not None)


def _apart(a: Span, b: Span) -> bool:
    for high, low in ((a.high, b.low), (b.high, a.low)):
        if high is not None and low is not None:
            gap = low.minus(high)
            if gap is not None and gap >= 0:
                return True
    return False


def _none(value: Value) -> bool:
    return isinstance(value, Const) and value.value is None


def _hashable(value: object) -> bool:
    return isinstance(value, str | int | float | bytes | bool | type(None))


__all__ = ["Arrays", "Site"]
