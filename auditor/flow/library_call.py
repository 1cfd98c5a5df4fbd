"""One call of a library function, as its model sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from auditor.flow.provenance import Provenance
from auditor.flow.values import Array, Const, Seq, Top, Tuple, Union, Value

if TYPE_CHECKING:
    from auditor.flow.library import Auditing


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
    found: list[Array] = []
    if isinstance(value, Tuple | Union):
        for item in value.items:
            found += arrays_in(item, depth + 1)
    elif isinstance(value, Seq):
        for item in value.items if value.items is not None else [value.element]:
            found += arrays_in(item, depth + 1)
    elif hasattr(value, "known"):
        for item in [*value.known.values(), value.element]:
            found += arrays_in(item, depth + 1)
    return found


def is_scalar(value: Value | None) -> bool:
    """Whether a value is a number without axes."""
    return isinstance(value, Const | Top)
