"""Integer expressions as linear forms, to tell how far from the current position an array is read.

The position that a loop is at is the symbol :data:`HERE`. The index ``i - (order - k)`` with ``k`` in ``[0, order)`` is
``HERE - order + k``, whose upper bound is ``HERE - 1``: a token before the current one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

HERE = "@"
"""The symbol for the position that a loop is at."""

_MOST_TERMS = 12


@dataclass(frozen=True, slots=True)
class Linear:
    """``constant + sum(coefficient * symbol)``."""

    constant: int = 0
    terms: Mapping[str, int] = field(default_factory=dict)

    def plus(self, other: Linear, sign: int = 1) -> Linear | None:
        """Sum, or difference with ``sign=-1``; None when it gets too long."""
        terms = dict(self.terms)
        for symbol, coefficient in other.terms.items():
            terms[symbol] = terms.get(symbol, 0) + sign * coefficient
        terms = {symbol: coefficient for symbol, coefficient in terms.items() if coefficient}
        return Linear(self.constant + sign * other.constant, terms) if len(terms) <= _MOST_TERMS else None

    def times(self, factor: int) -> Linear:
        """Product with a constant."""
        terms = {symbol: factor * coefficient for symbol, coefficient in self.terms.items()} if factor else {}
        return Linear(self.constant * factor, terms)

    @property
    def is_constant(self) -> bool:
        """Whether there is no symbol."""
        return not self.terms


def symbol(name: str) -> Linear:
    """The form that is one symbol."""
    return Linear(0, {name: 1})


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a symbol, both inclusive; None is no bound."""

    lower: Linear | None = None
    upper: Linear | None = None


def upper_offset(index: Linear, ranges: Mapping[str, Range]) -> int | None:
    """The largest offset from the current position that ``index`` can have; None when it is not bounded.

    Symbols without a range that are added are the same on both sides of a loop (the start of a chunk) and do not count;
    one that is subtracted is a lag of at least one.
    """
    form: Linear | None = index
    for _ in range(8):
        if form is None:
            return None
        name = next((s for s in form.terms if s in ranges), None)
        if name is None:
            break
        coefficient = form.terms[name]
        bound = ranges[name].upper if coefficient > 0 else ranges[name].lower
        if bound is None:
            return None
        form = form.plus(symbol(name).times(coefficient), -1)
        form = form.plus(bound.times(coefficient)) if form is not None else None
    if form is None or form.terms.get(HERE) != 1:
        return None
    return form.constant + sum(min(0, c) for s, c in form.terms.items() if s != HERE)
