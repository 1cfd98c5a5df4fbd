"""Text before the first of some windows: what a rank counts before it scores its own part of the stream.

That text is a prefix of all that the rank scores, and other ranks score it. Which windows come first is known of a list
of them only by its order, which is not followed: such state may hold what it scores, and is not said to.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import TYPE_CHECKING

from auditor.flow.affine import Affine, Numbering

if TYPE_CHECKING:
    from auditor.flow.provenance import Region

_Key = tuple[Hashable, ...]


def may_precede(numbers: Numbering, region: Region, scored: Region) -> bool:
    """Whether a stretch ends, give or take an offset, with the first of the windows one of which is scored.

    What begins with that window, too, is the window and no text before it.
    """
    ends = {key[1] for key in _keys(numbers, region.high, _at_most) if key[0] == "first"}
    if not ends:
        return False
    begins = {key[1] for key in _keys(numbers, region.low, _nothing) if key[0] == "first"}
    bounds = (scored.low, scored.high)
    windows = {key[1] for bound in bounds for key in _keys(numbers, bound, _computed_from) if key[0] == "element"}
    return not ends.isdisjoint(windows - begins)


def _keys(numbers: Numbering, bound: Affine | None, further: Callable[[Numbering, _Key], list[Hashable]]) -> set[_Key]:
    """How the symbols that make a bound larger were computed, and those of what ``further`` finds in that."""
    found: set[_Key] = set()
    todo = [bound]
    while todo:
        keys = set(_direct(numbers, todo.pop())) - found
        found |= keys
        todo += [part for key in keys for part in further(numbers, key) if isinstance(part, Affine)]
    return found


def _direct(numbers: Numbering, bound: Affine | None) -> Iterator[_Key]:
    for symbol, coefficient in bound.terms if bound is not None else ():
        key = numbers.key(symbol)
        if coefficient > 0 and isinstance(key, tuple):
            yield key


def _nothing(numbers: Numbering, key: _Key) -> list[Hashable]:
    return []


def _computed_from(numbers: Numbering, key: _Key) -> list[Hashable]:
    return list(key[1:]) if key[0] != "element" else []


def _at_most(numbers: Numbering, key: _Key) -> list[Hashable]:
    """What is no less than an integer: the operands of a minimum, the end of the range that it is from."""
    if key[0] == "min":
        return list(key[1:])
    of = key[1] if key[0] == "element" and isinstance(key[1], Affine) else None
    return [stop[2 if len(stop) > 2 else 1] for stop in _direct(numbers, of) if stop[0] == "range"]
