"""What a container yields, whatever its kind: a tree of plain values and arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from evaluator.refusal import Refused

DEPTH: Final = 16
NODES: Final = 200_000


@dataclass(frozen=True, slots=True)
class Contents:
    """An opened container, before any family has looked at it.

    Attributes:
        container: ``"torch-zip"``, ``"npz"`` or ``"safetensors"``.
        object: dictionaries with string keys, lists, strings, numbers, bytes, None and numpy arrays; bfloat16 arrives
            widened to float32.
        metadata: the header's own strings, where the container has such.
    """

    container: str
    object: Any
    metadata: Mapping[str, str] = field(default_factory=dict)


def plain(tree: Any, leaf: Callable[[Any], Any]) -> Any:
    """Copy ``tree`` into plain dictionaries and lists, calling ``leaf`` on whatever is no plain value.

    Raises:
        Refused: ``cyclic``, ``too-deep`` or ``too-many-values``; ``bad-tree`` for a dictionary key that is not a
            string or a number.
    """
    nodes = 0

    def copy(value: Any, above: tuple[int, ...]) -> Any:
        nonlocal nodes
        nodes += 1
        # Shared branches are copied each time, so this also bounds a "billion laughs" tree.
        if nodes > NODES:
            raise Refused("too-many-values", f"the artifact's object holds more than {NODES:,} values")
        if value is None or isinstance(value, bool | int | float | str | bytes):
            return value
        if not isinstance(value, dict | list | tuple):
            return leaf(value)
        if id(value) in above:
            raise Refused("cyclic", "the artifact's object contains itself")
        if len(above) >= DEPTH:
            raise Refused("too-deep", f"the artifact's object is nested more than {DEPTH} levels deep")
        inside = (*above, id(value))
        if not isinstance(value, dict):
            return [copy(item, inside) for item in value]
        for key in value:
            if not isinstance(key, str | int):
                raise Refused("bad-tree", f"a dictionary key is a {type(key).__name__}, not a string")
        # dict.items, because a pickle may have hung an attribute named "items" on an OrderedDict.
        return {key: copy(item, inside) for key, item in dict.items(value)}

    return copy(tree, ())
