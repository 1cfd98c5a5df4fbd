"""Affine integers over value numbers: where in the stream a slice begins.

Unknown integers get a symbol; equal computations on equal operands get the same symbol (value numbering), so that
``min(ws + seq_len, total) - ws`` computed in two loops over the same windows compares equal.
"""

from __future__ import annotations

from collections.abc import Hashable

_LIMIT = 8


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
        return Affine(0, ((symbol, 1),))
