"""The tensor names that one system's artifacts use, and the canonical ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_PLACEHOLDER = "{i}"


@dataclass(frozen=True, slots=True)
class NameMap:
    """Patterns from an artifact's name to the canonical one; ``{i}`` in both stands for one block index.

    Attributes:
        patterns: artifact pattern -> canonical pattern. A name that no pattern matches is canonical already.
    """

    patterns: Mapping[str, str]

    def __post_init__(self) -> None:
        for artifact, canonical in self.patterns.items():
            if artifact.count(_PLACEHOLDER) != canonical.count(_PLACEHOLDER) or artifact.count(_PLACEHOLDER) > 1:
                raise ValueError(f"{artifact!r} -> {canonical!r}: both need the same placeholder, at most once")

    def to_canonical(self, names: Iterable[str]) -> dict[str, str]:
        """Canonical name of each artifact name.

        A name that is not known maps to itself, so that it shows as unexpected when the tensors are compared with
        the model's layout.

        Raises:
            ValueError: two of the names mean the same tensor.
        """
        mapped = {name: self._canonical(name) for name in names}
        seen: dict[str, str] = {}
        for name, canonical in mapped.items():
            if canonical in seen:
                raise ValueError(f"{seen[canonical]!r} and {name!r} both mean {canonical!r}")
            seen[canonical] = name
        return mapped

    def _canonical(self, name: str) -> str:
        for artifact, canonical in self.patterns.items():
            match = re.fullmatch(re.escape(artifact).replace(re.escape(_PLACEHOLDER), r"(0|[1-9][0-9]*)"), name)
            if match:
                return canonical.replace(_PLACEHOLDER, match[1]) if match.groups() else canonical
        return name
