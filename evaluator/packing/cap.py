"""What is given up, in which order, so that an artifact fits the byte cap."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from evaluator.packing.recipes import Recipe
from reference_model.quant import outward

NARROW_BITS: Final = 5
"""Bits of the layers that must do with fewer (#940)."""
PRUNED: Final = (0.2, 0.4, 0.6)
"""Fractions of each matrix to zero once every layer is narrow. The 8 % of #779 would free next to nothing here: int5
by standard deviation rounds a third of all weights to zero anyway."""


@dataclass(frozen=True, slots=True)
class Measures:
    """What is given up.

    Attributes:
        narrowed: blocks whose matrices take :data:`NARROW_BITS` bits.
        prune: fraction of each matrix that is zeroed.
    """

    narrowed: frozenset[int]
    prune: float

    def __str__(self) -> str:
        parts = []
        if self.narrowed:
            blocks = ", ".join(map(str, sorted(self.narrowed)))
            parts.append(f"{NARROW_BITS} bits in block{'s' * (len(self.narrowed) > 1)} {blocks}")
        if self.prune:
            parts.append(f"{self.prune:.0%} of each matrix zeroed")
        return " and ".join(parts) or "nothing given up"


def escalation(recipe: Recipe, layers: int) -> list[Measures]:
    """Measures from none to the strongest, each taking at least what the one before it takes.

    First blocks fall back to fewer bits, outward from the middle; then small weights are zeroed. A recipe that keeps
    its tensors as they are has nothing to give up.
    """
    if recipe.attention is None or recipe.mlp is None:
        return [Measures(frozenset(), recipe.prune)]
    wide = max(recipe.attention.bits, recipe.mlp.bits) > NARROW_BITS
    order = outward(layers) if wide else []
    steps = [Measures(frozenset(order[:count]), recipe.prune) for count in range(len(order) + 1)]
    return [*steps, *(Measures(frozenset(order), fraction) for fraction in PRUNED if fraction > recipe.prune)]


def first_that_fits(steps: Sequence[Measures], fits: Callable[[Measures], bool]) -> Measures | None:
    """The mildest of ``steps`` with which the artifact fits, or None.

    The first is tried first, for most fit at once. Then the rest is bisected: an artifact shrinks with every step, and
    writing one of the contest's size takes a minute.
    """
    if fits(steps[0]):
        return steps[0]
    found = bisect_left(range(1, len(steps)), True, key=lambda index: fits(steps[index])) + 1
    return steps[found] if found < len(steps) else None
