"""Which layers take fewer bits first where an artifact must shrink."""


def outward(layers: int) -> list[int]:
    """Layers from the middle outwards, the later of two equally far first: 5, 6, 4, 7, 3, ... of 11 (#940)."""
    middle = layers // 2
    return sorted(range(layers), key=lambda layer: (abs(layer - middle), -layer))
