"""Indexing and slicing arrays: views that know where in the stream they start."""

from __future__ import annotations

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import uses
from auditor.flow.affine import ZERO, Affine
from auditor.flow.learning import Learning
from auditor.flow.provenance import Fact, Provenance, Region, Token
from auditor.flow.spans import Apart, Span, apart, is_before, within
from auditor.flow.values import Array, Const, Slice, Top, Tuple, Union, Value

_LAST = Affine(-1)


class Arrays(Learning):
    """Views of arrays, and the stretches and tokens that they show."""

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
        if array.role == "parameter" and index_prov.deps and not array.prov.regions:
            # Which layer's weights are read says nothing of the tokens that they are applied to.
            index_prov = lattice.change(index_prov, deps=P.NO_DEPS)
        selects = isinstance(index, Array) and index.mask
        if selects:
            index_prov = self.positional(index_prov)
        if index_prov.reads:
            index_prov = lattice.change(index_prov, reads=())  # a mask made of counts is no count
        if array.prov.flags & P.VAL and array.prov.tokens and not array.prov.flags & P.HASHED:
            # Where in the stream is not what is there, even where positions come from document marks in it.
            index_prov = lattice.flagged(self.positional(index_prov), 0, P.VOCABULARY)
            reading = False
        low, high, sliced = (ZERO, None, False) if selects else self.shift(array, index)
        if not sliced and low is not None and not low.terms and low.const < 0:
            low = None  # counted from an end whose place is not known
        # What chose the positions meets the tokens there, not the whole stream.
        is_stream = bool(array.prov.flags & P.STREAM and array.prov.regions)
        taken = self._narrow(array.prov, array, index, low, high, sliced) if is_stream else array.prov
        prov = lattice.union(taken, index_prov)
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
            prov = self.picked(prov, index_prov)
            prov = lattice.flagged(prov, P.NLL, P.PROBABILITY | P.LOG_PROBABILITY)  # picked out at the tokens
        if array.prov.regions:
            prov = prov if is_stream else self._narrow(prov, array, index, low, high, sliced)
            if isinstance(index, Array) and selects and index.span is not None:
                prov = self.narrowed(prov, index.span)
        trimmed = sliced and low == ZERO and isinstance(index, Slice) and not index_prov.deps
        if array.prov.flags & P.STREAM and not trimmed and (sliced or index_prov.deps or not isinstance(index, Const)):
            prov = lattice.flagged(prov, 0, P.STREAM)
        if isinstance(index, Const) and isinstance(index.value, int) and array.ndim == 1:
            return Top(prov, start)
        if not sliced and array.ndim == 1 and isinstance(index, Top):
            return Top(prov, start if start is not None else None)
        role = array.role
        view = Array(prov, start, array.ndim if selects else self._axes(array, index), array, role)
        view.span, view.mask, view.stop = array.span, array.mask, array.stop
        view.timed, view.rows = _is_one_window(array, index), False if _is_new_axis(index) else None
        return view

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
            low = ZERO if last.lower is None else None if _from_the_end(last.lower) else self.affine(last.lower)
            return low, self.affine(last.upper) if last.upper is not None else None, True
        if last is None or (not isinstance(index, Tuple) and array.ndim is not None and array.ndim > 1):
            return ZERO, None, False
        return self.affine(last), None, False

    @staticmethod
    def _axes(array: Array, index: Value) -> int | None:
        if isinstance(index, Array):
            return index.ndim
        if isinstance(index, Slice):
            return array.ndim
        if array.ndim is None:
            return None
        if _is_new_axis(index):
            return array.ndim + (1 if not isinstance(index, Tuple) else sum(map(_is_new_axis, index.items)))
        if isinstance(index, Tuple):
            plain = all(
                isinstance(i, Slice | Top) or (isinstance(i, Const) and type(i.value) is int) for i in index.items
            )
            left = array.ndim - sum(not isinstance(i, Slice) for i in index.items)
            return left if plain and left > 0 else None
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

    def _moved_uses(self, prov: Provenance, low: Affine | None, index: Value) -> frozenset[P.Use]:
        if prov.flags & P.WEIGHTS and not uses.positions(prov, "gold", "count"):
            return prov.uses  # the last axis of activations is no time axis

        def move(position: Affine) -> Affine:
            if low is None:
                return self.numbers.of(("at", position, index))
            return self.numbers.at(position, low) or self.numbers.of(("at", position, low))

        return uses.moved(prov.uses, move)

    def _moved(self, prov: Provenance, low: Affine | None, index: Value) -> frozenset[Token]:
        if is_activation(prov):
            return prov.tokens
        site = self.lattice.site
        moved = set()
        for token in prov.tokens:
            if low is None:
                position = self.numbers.of(("at", token.position, index))
            else:
                position = self.numbers.at(token.position, low) or self.numbers.of(("at", token.position, low))
            moved.add(Token(position, token.reduced, site if prov.flags & P.STREAM else token.site))
        return frozenset(moved)

    def _narrow(
        self, prov: Provenance, array: Array, index: Value, low: Affine | None, high: Affine | None, sliced: bool
    ) -> Provenance:
        """The regions of a part of an array of tokens, or of scores of tokens."""
        deps = self.deep(index).deps
        stream = bool(array.prov.flags & P.STREAM)
        if is_before(high, low):
            low = high = None  # two elements of one list that read the same, such as where documents begin
        if is_activation(array.prov) and _is_of_features(index):
            sliced = False  # part of each token's features, all tokens
        regions = set()
        for region in prov.regions:
            moved = region.within(deps)
            if stream:
                end = index.stop if isinstance(index, Array) else high
                moved = Region(moved.deps, None, low if sliced else None, end, self.lattice.site)
            elif sliced and (isinstance(index, Tuple) or array.timed):
                moved = moved._replace(span=within(moved.span, self.cut(index)))
            regions.add(moved)
        facts = prov.facts
        if sliced and (isinstance(index, Tuple) or array.timed) and not stream:
            facts = self._inside(facts, self.cut(index))
        return self.lattice.change(prov, regions=regions, facts=facts)

    def narrowed(self, prov: Provenance, span: Span) -> Provenance:
        """Regions under a mask that covers only a span of each window."""
        regions = frozenset(r._replace(span=span) for r in prov.regions)
        return self.lattice.change(prov, regions=regions, facts=self._inside(prov.facts, span))

    def cut(self, index: Value) -> Span:
        """The part of each window that a slice of the last axis takes, its bounds as functions of the window."""
        last = index.items[-1] if isinstance(index, Tuple) and index.items else index
        if not isinstance(last, Slice):
            return Span(None, None)
        return Span(self._bound(last.lower or self.const(0)), self._bound(last.upper), self.nonzero)

    def _bound(self, value: Value | None) -> Affine | None:
        """An offset in a window; ``[:-1]`` only shifts a window against itself, and leaves no part of it out."""
        affine = self.affine(value)
        if affine is None and isinstance(value, Top | Array | Union):
            self.keep(value)
            return self.numbers.of(("value", value))  # not known, but the same wherever it is used
        if affine is None or affine == _LAST:
            return None
        if not affine.terms and affine.const < 0:
            return self.numbers.of("end").plus(affine)
        return self.numbers.general(affine)

    def _inside(self, facts: frozenset[Fact], span: Span) -> frozenset[Fact]:
        """Facts that are about the offsets of the span; what is about others in some cases only is not certain."""
        kept = set()
        for fact in facts:
            outside = self._outside(fact, span)
            if outside is not Apart.YES:
                kept.add(fact if outside is Apart.NO else fact._replace(certain=False))
        return frozenset(kept) if len(kept) != len(facts) or kept != facts else facts

    def _outside(self, fact: Fact, span: Span) -> Apart:
        """Whether a conflict is about other offsets of the window than the span that is kept."""
        if fact.kind != "conflict" or fact.mark is None or any(r.span is None for r in fact.mark.regions):
            return Apart.NO
        parts = [apart(self.numbers, r.span, span) for r in fact.mark.regions if r.span is not None]
        return min(parts, default=Apart.YES)

    def positional(self, prov: Provenance) -> Provenance:
        """Of a position: the loop iterations that it depends on, and what was found on its way."""
        if not prov.regions and not prov.flags & P.VAL:
            return prov
        return self.lattice.make(prov.flags & ~(P.VAL | P.HASHED | P.STREAM), prov.deps, (), prov.marks, prov.facts)


def _from_the_end(bound: Value) -> bool:
    return isinstance(bound, Const) and isinstance(bound.value, int) and bound.value < 0


def is_activation(prov: Provenance) -> bool:
    """Whether an array is of activations, not of scores: their last axis is no time axis."""
    return bool(prov.flags & P.WEIGHTS and not prov.flags & P.NLL) and not uses.positions(prov, "gold", "count")


def _is_new_axis(index: Value) -> bool:
    """Whether an index adds an axis in front: ``x[None]``, ``x[None, :n]``."""
    first = index.items[0] if isinstance(index, Tuple) and index.items else index
    return isinstance(first, Const) and first.value is None


def _is_one_window(array: Array, index: Value) -> bool:
    """Whether an index picks one row of a batch of windows, and at most cuts its end off: ``x[i]``, ``x[i, :n]``."""
    if not isinstance(index, Tuple):
        known = array.ndim == (3 if is_activation(array.prov) else 2) or (array.rows is False and array.ndim != 1)
        return known and isinstance(index, Const | Top) and not _is_new_axis(index)
    *rows, last = index.items or (index,)
    whole = isinstance(last, Slice) and (last.lower is None or (isinstance(last.lower, Const) and not last.lower.value))
    return whole and len(rows) == 1 and isinstance(rows[0], Const | Top)


def _is_of_features(index: Value) -> bool:
    """Whether an index of activations cuts their last axis only: ``x[..., :n]``."""
    return isinstance(index, Tuple) and any(isinstance(i, Const) and i.value is Ellipsis for i in index.items)
