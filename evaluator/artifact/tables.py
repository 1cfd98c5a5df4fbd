"""Dictionaries inside an artifact, checked for what they hold."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np

from evaluator.artifact.numerics import Array
from evaluator.refusal import Refused


def array_table(tree: Mapping[str, Any], key: str) -> dict[str, Array]:
    """``tree[key]`` as a dictionary of arrays; empty where absent.

    Raises:
        Refused: ``bad-tree``.
    """
    return arrays(tree.get(key, {}), key)


def arrays(table: Any, what: str) -> dict[str, Array]:
    """``table`` as a dictionary from names to arrays (``what`` names it in messages).

    Raises:
        Refused: ``bad-tree``.
    """
    _check(table, np.ndarray, what)
    return dict(table)


def string_table(tree: Mapping[str, Any], key: str) -> dict[str, str]:
    """``tree[key]`` as a dictionary of strings; empty where absent.

    Raises:
        Refused: ``bad-tree``.
    """
    table = tree.get(key, {})
    _check(table, str, key)
    return dict(table)


def dictionary(table: Any, what: str) -> dict[Any, Any]:
    """``table``, which must be a dictionary of whatever (``what`` names it in messages).

    Raises:
        Refused: ``bad-tree``.
    """
    if not isinstance(table, dict):
        raise Refused("bad-tree", f"{what!r} is a {type(table).__name__}, not a dictionary")
    return table


def take(stored: MutableMapping[str, Array], key: str, reason: str) -> Array:
    """``stored[key]``, removed from there, so that what nobody asked for remains.

    Raises:
        Refused: ``reason``, if it is not there.
    """
    if key not in stored:
        raise Refused(reason, f"the artifact promises {key!r} and does not hold it")
    return stored.pop(key)


def _check(table: Any, kind: type, what: str) -> None:
    for name, value in dictionary(table, what).items():
        if not isinstance(name, str):
            raise Refused("bad-tree", f"{what!r} has the key {name!r}, which is no name")
        if not isinstance(value, kind):
            raise Refused("bad-tree", f"{name!r} in {what!r} is a {type(value).__name__}")


def same_names(left: Mapping[str, Any], right: Mapping[str, Any], reason: str, problem: str) -> None:
    """Refuse with ``reason`` if a name of ``left`` is not in ``right``."""
    if missing := sorted(left.keys() - right.keys()):
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise Refused(reason, f"{missing[0]!r} {problem}{more}")
