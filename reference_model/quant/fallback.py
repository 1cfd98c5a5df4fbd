"""Fewer bits, one layer at a time, until the artifact fits."""

from __future__ import annotations

from collections.abc import Callable


def outward(layers: int) -> list[int]:
    """Layers from the middle outwards, the later of two equally far first: 5, 6, 4, 7, 3, ... of 11 (#940)."""
    middle = layers // 2
    return sorted(range(layers), key=lambda layer: (abs(layer - middle), -layer))


def narrow_until(fits: Callable[[frozenset[int]], bool], layers: int) -> frozenset[int] | None:
    """The layers that must take fewer bits for the artifact to fit, chosen outward from the middle.

    Args:
        fits: whether the artifact with these layers narrowed fits; asked first with none, then with one more each time.
        layers: how many there are.

    Returns:
        the first set that fits, or None if not even all layers suffice.
    """
    narrowed: frozenset[int] = frozenset()
    for layer in (*outward(layers), None):
        if fits(narrowed):
            return narrowed
        if layer is not None:
            narrowed |= {layer}
    return None
