"""Affine integers over value numbers: where in the stream a slice begins.

Unknown integers get a symbol; equal computations on equal operands get the same symbol (value numbering), so that
``min(ws + seq_len, total) - ws`` computed in two loops over the same windows compares equal.
"""

from __future__ import annotations

from collections.abc import Hashable

_LIMIT = 8
_CASES = 8
"""Choices are taken apart into up to so many cases."""


class Affine:
    """``const + sum(coefficient * symbol)``; immutable and hashable."""

    __slots__ = ("_hash", "const", "terms")

    def __init__(self, const: int, terms: tuple[tuple[int, int], ...] = ()) -> None:
        self.const, self.terms = const, terms
        self._hash = hash((const, terms))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Affine) and self.const == other.const and self.terms == other.terms

    def plus(self, other: Affine, factor: int = 1) -> Affine | None:
        """``self + factor * other``, or None when it grows past what is worth keeping."""
        if not other.terms:
            return Affine(self.const + factor * other.const, self.terms)
        merged = dict(self.terms)
        for symbol, coefficient in other.terms:
            merged[symbol] = merged.get(symbol, 0) + factor * coefficient
        terms = tuple(sorted((s, c) for s, c in merged.items() if c))
        return Affine(self.const + factor * other.const, terms) if len(terms) <= _LIMIT else None

    def times(self, factor: int) -> Affine:
        """``factor * self``."""
        return Affine(self.const * factor, tuple((s, c * factor) for s, c in self.terms if c * factor))

    def minus(self, other: Affine) -> int | None:
        """The difference where it is a known number."""
        if self.terms != other.terms:
            return None
        return self.const - other.const


ZERO = Affine(0)


class Numbering:
    """Gives symbols: fresh ones, and one per distinct computation."""

    def __init__(self) -> None:
        self._known: dict[Hashable, int] = {}
        self._keys: dict[int, Hashable] = {}
        self._general: dict[int, Affine] = {}
        self._next = 0

    def fresh(self) -> Affine:
        """A symbol equal to no other."""
        self._next += 1
        return Affine(0, ((self._next, 1),))

    def of(self, key: Hashable) -> Affine:
        """The symbol of a computation, the same for the same key."""
        symbol = self._known.get(key)
        if symbol is None:
            self._next += 1
            symbol = self._known[key] = self._next
            self._keys[symbol] = key
        return Affine(0, ((symbol, 1),))

    def key(self, symbol: int) -> Hashable:
        """The computation that a symbol stands for; None for one that nothing is known of."""
        return self._keys.get(symbol)

    def first(self, of: Affine) -> Affine:
        """The first element of a list of integers, given as what its elements read."""
        return self.of(("first", Affine(0, of.terms))).plus(Affine(of.const)) or self.fresh()

    def element(self, of: Affine, seen: Hashable) -> Affine:
        """The element of a list of integers that one iteration of a loop sees, given as ``seen``.

        Of lists that are the same but for a constant, one iteration sees elements that are apart by that constant.
        """
        return self.of(("element", Affine(0, of.terms), seen)).plus(Affine(of.const)) or self.fresh()

    def counted(self, index: Affine) -> tuple[Hashable, int] | None:
        """Of what ``enumerate`` counts from 0, and a constant: the loop's iteration that sees it, and the constant."""
        key = self._keys.get(index.terms[0][0]) if len(index.terms) == 1 and index.terms[0][1] == 1 else None
        if not (isinstance(key, tuple) and key[0] == "element" and isinstance(key[1], Affine)):
            return None
        of = self._keys.get(key[1].terms[0][0]) if len(key[1].terms) == 1 else None
        return (key[2], index.const) if isinstance(of, tuple) and of[0] == "enumerate" else None

    def at(self, position: Affine, index: Affine) -> Affine | None:
        """The position ``index`` elements after another; of what a loop counts, that which it sees itself."""
        counted = self.counted(index)
        if counted is None:
            return position.plus(index)
        return self.element(position, counted[0]).plus(Affine(counted[1]))

    def either(self, a: Affine, b: Affine, zero: Affine | None = None) -> Affine:
        """One of two integers; where ``zero`` is given, ``a`` exactly when that is 0."""
        return self.of(("either", a, b, zero))

    def general(self, affine: Affine) -> Affine:
        """The same form for any element: which iteration of a loop saw it is forgotten.

        What a row of a batch is cut by, as a function of the row: ``min(ws + n, total) - ws`` of the first window and
        of the second read the same.
        """
        result = Affine(affine.const)
        for symbol, coefficient in affine.terms:
            sum_ = result.plus(self._general_symbol(symbol), coefficient)
            if sum_ is None:
                return affine
            result = sum_
        return result

    def _general_symbol(self, symbol: int) -> Affine:
        known = self._general.get(symbol)
        if known is None:
            self._general[symbol] = Affine(0, ((symbol, 1),))  # for what is being made general already
            known = self._general[symbol] = self._general_key(self._keys.get(symbol), symbol)
        return known

    def _general_key(self, key: Hashable, symbol: int) -> Affine:
        if not isinstance(key, tuple):
            return Affine(0, ((symbol, 1),))
        parts = tuple(self.general(part) if isinstance(part, Affine) else part for part in key)
        if parts[0] == "element" or (parts[0] == "either" and parts[1] == parts[2]):
            same = parts[1]
            return same if isinstance(same, Affine) else Affine(0, ((symbol, 1),))
        return Affine(0, ((symbol, 1),)) if parts == key else self.of(parts)

    def cases(self, affine: Affine, nonzero: frozenset[Affine] = frozenset()) -> tuple[Affine, ...]:
        """Everything that an integer may be, by the choices that made it; itself where they are too many.

        Args:
            affine: the integer.
            nonzero: integers known not to be 0, in their general form.
        """
        open_, closed = [affine], []
        while open_:
            form = open_.pop()
            split = self._split(form, nonzero)
            if split:
                open_ += split
            else:
                closed.append(form)
            if len(open_) + len(closed) > _CASES:
                return (affine,)
        return tuple(closed)

    def _split(self, form: Affine, nonzero: frozenset[Affine]) -> list[Affine]:
        """The two integers that the first choice in a form leaves; nothing where there is none."""
        for symbol, coefficient in form.terms:
            key = self._keys.get(symbol)
            if isinstance(key, tuple) and key[0] == "either":
                _, a, b, zero = key
                rest = form.plus(Affine(0, ((symbol, 1),)), -coefficient)
                parts = [rest.plus(part, coefficient) if rest is not None else None for part in (a, b)]
                if zero is not None and zero in nonzero:
                    del parts[0]
                return [part for part in parts if part is not None] if None not in parts else []
        return []
