"""What a violation template is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .places import Place


@dataclass(frozen=True)
class Idiom:
    """One way people write one violation.

    Attributes:
        name: short, unique in its family.
        code: the text that goes to each place; names in capitals are holes.
        twin: replacements (old, new) in the code that make it legal.
        moved: pieces that only have to stand elsewhere to be legal, such as training after the score.
        added: pieces that only the twin has.
    """

    name: str
    code: Mapping[Place, str]
    twin: tuple[tuple[str, str], ...] = ()
    moved: Mapping[Place, Place] = field(default_factory=dict)
    added: Mapping[Place, str] = field(default_factory=dict)

    @property
    def has_twin(self) -> bool:
        """Whether there is an honest text near it."""
        return bool(self.twin or self.moved)

    def legal(self) -> Mapping[Place, str]:
        """The code of the twin.

        Raises:
            ValueError: a replacement does not occur in the code, so the twin would still be the violation.
        """
        code = dict(self.code)
        for old, new in self.twin:
            if not any(old in text for text in code.values()):
                raise ValueError(f"{self.name}: the twin replaces what is not there: {old!r}")
            code = {place: text.replace(old, new) for place, text in code.items()}
        return {self.moved.get(place, place): text for place, text in code.items()} | dict(self.added)


@dataclass(frozen=True)
class Family:
    """Idioms of one violation.

    Attributes:
        name: short.
        rules: ids of the rules that speak of it.
        conditions: what it breaks; a finding counts when it is under one of these.
        idioms: at least eight.
    """

    name: str
    rules: frozenset[str]
    conditions: frozenset[str]
    idioms: tuple[Idiom, ...]
