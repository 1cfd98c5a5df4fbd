"""What a format family is, and how the families are found.

A family is one module in :mod:`evaluator.artifact.families` with ``NAME``, ``recognise`` and ``decode``; adding the
file is all it takes. Families are resolved by the whole shape of the object, never by a key name alone: equal keys
can mean different arithmetic.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from evaluator.artifact import families
from evaluator.artifact.container import Contents
from evaluator.artifact.numerics import Float32
from evaluator.refusal import Refused


@dataclass(frozen=True, slots=True)
class Weights:
    """What a family decodes.

    Attributes:
        tensors: float32 arrays by the artifact's own tensor names.
        config: the model configuration, where the format carries one.
        notes: facts a reader should know, one line each.
    """

    tensors: Mapping[str, Float32]
    config: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


class Family(Protocol):
    """The interface of a family module. Writers, where a family has one, are called ``write``."""

    NAME: str

    def recognise(self, contents: Contents) -> bool:
        """Whether ``contents`` has this family's shape; looks at keys and types only."""
        ...

    def decode(self, contents: Contents) -> Weights:
        """Reconstruct the float32 tensors, or raise :class:`Refused`."""
        ...


def all_families() -> Iterator[Family]:
    """Every module in the families package, by name."""
    for module in pkgutil.iter_modules(families.__path__):
        yield cast("Family", importlib.import_module(f"{families.__name__}.{module.name}"))


def decode_family(contents: Contents) -> tuple[str, Weights]:
    """The family's name and its weights.

    Raises:
        Refused: ``unsupported-family`` if no family recognises the contents; every reason of the family itself.
    """
    for family in all_families():
        if family.recognise(contents):
            return family.NAME, family.decode(contents)
    raise Refused("unsupported-family", f"no family decodes this {contents.container}: {describe(contents.object)}")


def describe(tree: Any) -> str:
    """In words, what an object that no family recognises is; known families that are not decoded yet by name."""
    if not isinstance(tree, dict):
        return f"its object is a {type(tree).__name__}, not a dictionary"
    label = tree.get("__format__")
    if isinstance(label, str) and "rans" in label:
        return f"rANS-coded dictionary (family F13, {label})"
    if "subsystem_blobs" in tree:
        return "research export in blobs per subsystem (an old form of family F10)"
    kinds = {entry["type"] for entry in tree.values() if isinstance(entry, dict) and isinstance(entry.get("type"), str)}
    if kinds and all(isinstance(entry, dict) for entry in tree.values()):
        return f"dictionary of {len(tree)} typed entries with types {', '.join(sorted(kinds)[:8])}"
    keys = ", ".join(repr(key) for key in list(tree)[:8])
    return f"a dictionary of {len(tree)} values with keys {keys}"
