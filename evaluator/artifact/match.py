"""Whether an artifact's tensors are those of a model: names and shapes, listed both ways where they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Final

from evaluator.artifact.decoded import Decoded
from evaluator.artifact.revealed import differences
from evaluator.refusal import Refused

Shape = tuple[int, ...]
NameMapping = Callable[[Iterable[str]], Mapping[str, str]]
"""From artifact names to canonical names; a name that it does not know maps to itself or is left out."""

_LISTED: Final = 3
_DIFFERENCES: Final = 5
"""A refusal is one line of 500 characters, and both lists of names must be on it."""


def match(decoded: Decoded, layout: Mapping[str, Shape], to_canonical: NameMapping) -> dict[str, str]:
    """Which tensor of the artifact is which of the model.

    A scalar may be stored as ``[]`` or ``[1]``: systems differ, and the value is the same.

    Args:
        decoded: the artifact.
        layout: shape by canonical name.
        to_canonical: the preset's name map.

    Returns:
        artifact name by canonical name, for every name of ``layout``.

    Raises:
        Refused: ``duplicate-tensor``, ``missing-tensor`` (also when there are unexpected ones besides),
            ``extra-tensor`` or ``wrong-shape``. The message says first what the shapes reveal.
    """
    found = _by_canonical_name(decoded.shapes, to_canonical)
    missing = [name for name in layout if name not in found]
    extra = [name for canonical, name in found.items() if canonical not in layout]
    wrong = [
        f"{found[name]} is {list(decoded.shapes[found[name]])}, not {list(shape)}"
        for name, shape in layout.items()
        if name in found and not _same(decoded.shapes[found[name]], shape)
    ]
    if not (missing or extra or wrong):
        return {name: found[name] for name in layout}
    reason = "missing-tensor" if missing else "extra-tensor" if extra else "wrong-shape"
    shapes = {canonical: decoded.shapes[name] for canonical, name in found.items()}
    parts = [
        "; ".join(differences(shapes, layout)[:_DIFFERENCES]),
        _listing("missing", missing),
        _listing("not expected", extra),
        _listing("of the wrong shape", wrong),
    ]
    raise Refused(reason, "the artifact does not fit the model: " + "; ".join(filter(None, parts)))


def fits(shapes: Mapping[str, Shape], layout: Mapping[str, Shape], to_canonical: NameMapping) -> bool:
    """Whether an artifact with ``shapes`` has exactly the tensors of ``layout``."""
    try:
        found = _by_canonical_name(shapes, to_canonical)
    except Refused:
        return False
    return found.keys() == layout.keys() and all(_same(shapes[found[name]], shape) for name, shape in layout.items())


def distance(shapes: Mapping[str, Shape], layout: Mapping[str, Shape], to_canonical: NameMapping) -> int:
    """How many tensors are missing, unexpected or of another shape; all of both if the names cannot be told apart."""
    try:
        found = _by_canonical_name(shapes, to_canonical)
    except Refused:
        return len(shapes) + len(layout)
    common = found.keys() & layout.keys()
    wrong = sum(not _same(shapes[found[name]], layout[name]) for name in common)
    return len(found) + len(layout) - 2 * len(common) + wrong


def _by_canonical_name(shapes: Mapping[str, Shape], to_canonical: NameMapping) -> dict[str, str]:
    try:
        mapping = to_canonical(shapes)
    except ValueError as error:
        raise Refused("duplicate-tensor", str(error)) from None
    found: dict[str, str] = {}
    for name in shapes:
        canonical = mapping.get(name, name)
        if canonical in found:
            raise Refused("duplicate-tensor", f"{found[canonical]!r} and {name!r} both mean {canonical!r}")
        found[canonical] = name
    return found


def _same(one: Shape, other: Shape) -> bool:
    return one == other or (prod(one) == prod(other) == 1 and len(one) <= 1 and len(other) <= 1)


def _listing(title: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)} {title}: {', '.join(names[:_LISTED])}{more}"
