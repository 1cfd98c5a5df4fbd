"""One call of a library function, as its model sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from auditor.flow.provenance import Provenance
from auditor.flow.values import Array, Const, Dict, Seq, Tuple, Union, Value

if TYPE_CHECKING:
    from auditor.flow.library.dispatch import Auditing


class LibraryCall:
    """``engine`` with the arguments of one call; of a method, the owner is the first."""

    __slots__ = ("args", "dotted", "engine", "keywords", "name", "owner")

    def __init__(
        self,
        engine: Auditing,
        dotted: str,
        name: str,
        args: list[Value],
        keywords: dict[str, Value],
        owner: Value | None,
    ) -> None:
        self.engine, self.dotted, self.name = engine, dotted, name
        self.args, self.keywords, self.owner = args, keywords, owner

    def arg(self, position: int, *names: str) -> Value | None:
        """An argument by position or keyword."""
        for name in names:
            if name in self.keywords:
                return self.keywords[name]
        return self.args[position] if position < len(self.args) else None

    def constant(self, position: int, *names: str) -> object:
        """The concrete value of an argument, None where unknown."""
        value = self.arg(position, *names)
        return value.value if isinstance(value, Const) else None

    def values(self) -> list[Value]:
        """All arguments."""
        return [*self.args, *self.keywords.values()]

    def prov(self) -> Provenance:
        """Union over all arguments."""
        return self.engine.prov_of(self.values())


Model = Callable[[LibraryCall], "Value | None"]
"""A model gives the result, or None for the default."""


def arrays_in(value: Value | None, depth: int = 0) -> list[Array]:
    """Every array inside containers, groups included."""
    if isinstance(value, Array):
        return [value]
    if value is None or depth > 6:
        return []
    parts: list[Value | None] = []
    if isinstance(value, Tuple | Union):
        parts = list(value.items)
    elif isinstance(value, Seq):
        parts = list(value.items) if value.items is not None else [value.element]
    elif isinstance(value, Dict):
        parts = [*value.known.values(), value.element]
    return [array for part in parts for array in arrays_in(part, depth + 1)]
