"""Parts of windows: whether what was fitted and what is scored can be the same offsets.

Bounds are functions of the window: ``max(length - stride, 0)`` of the first row of a batch and of the second read the
same (:meth:`~auditor.flow.affine.Numbering.general`). A bound that is one of two, as in ``0 if begin == 0 else n``, is
taken case by case: only what is apart in every case is apart.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from auditor.flow.affine import Affine, Numbering

_NEIGHBOURS = 8
"""Tokens that a model sets beside each other."""
NOWHERE: frozenset[Affine] = frozenset()


class Span(NamedTuple):
    """Offsets ``[low, high)`` inside each window, as far as known.

    Attributes:
        low, high: the bounds, None where unknown.
        nonzero: integers known not to be 0 where the part was cut out, in their general form.
    """

    low: Affine | None
    high: Affine | None
    nonzero: frozenset[Affine] = NOWHERE


class Apart(enum.IntEnum):
    """Whether two parts share no offset."""

    NO = 0
    """They overlap, or nothing is known."""
    PARTLY = 1
    """In some cases they do not."""
    YES = 2


def apart(numbers: Numbering, a: Span, b: Span) -> Apart:
    """Whether one part ends before the other begins."""
    nonzero = a.nonzero | b.nonzero
    return max(_before(numbers, a.high, b.low, nonzero), _before(numbers, b.high, a.low, nonzero))


def within(whole: Span | None, part: Span) -> Span:
    """A part of a part.

    A model that sets each token beside the one before it cuts ``[1:]`` and ``[:-1]`` out of what it gets, and leaves
    its other bound. Any other part is of positions, whatever the model made them of.
    """
    near = part.high is None and part.low is not None and not part.low.terms and part.low.const <= _NEIGHBOURS
    if whole is None or not near or whole.low is None or part.low is None:
        return part
    return Span(whole.low.plus(part.low), whole.high, whole.nonzero | part.nonzero)


def is_before(high: Affine | None, low: Affine | None, shared: int = 0) -> bool:
    """Whether something ends at ``high`` where something else begins at ``low``, or earlier, but for shared tokens."""
    if high is None or low is None:
        return False
    gap = low.minus(high)
    return gap is not None and gap >= -shared


def _before(numbers: Numbering, high: Affine | None, low: Affine | None, nonzero: frozenset[Affine]) -> Apart:
    if high is None or low is None:
        return Apart.NO
    gap = low.plus(high, -1)
    if gap is None:
        return Apart.NO
    known = [not case.terms and case.const >= 0 for case in numbers.cases(gap, nonzero)]
    return Apart.YES if all(known) else Apart.PARTLY if any(known) else Apart.NO
