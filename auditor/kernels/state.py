"""What the interpretation knows at one point of the program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.kernels.linear import HERE, Linear

_MOST_STEPS = 12
UNBOUNDED = 99
"""Offset of a token read that could not be bounded."""


@dataclass(frozen=True, slots=True)
class Trace:
    """How something got into a value: (line, why) from the read on."""

    steps: tuple[tuple[int, str], ...] = ()

    def then(self, line: int, why: str) -> Trace:
        """One step further; a line that it passed already adds nothing."""
        if len(self.steps) >= _MOST_STEPS or any(line == known for known, _ in self.steps):
            return self
        return Trace((*self.steps, (line, why)))

    def ending(self, line: int, why: str) -> Trace:
        """The last step, which is told however long the way was."""
        last = (line, why)
        return self if last in self.steps else Trace((*self.steps[: _MOST_STEPS - 1], last))


Label = int | str
"""An offset (a token that far from the current position), ``state:NAME`` (state as it was before this iteration's
token went in) or ``boost:NAME`` (a strength that was chosen while a branch on the token was open)."""

Taint = Mapping[Label, Trace]
"""What a value depends on, and how."""

CLEAN: Taint = {}


def join(*taints: Taint) -> Taint:
    """What any of them depends on; of two ways the first is told."""
    some = [taint for taint in taints if taint]
    if len(some) < 2:
        return some[0] if some else CLEAN
    out: dict[Label, Trace] = {}
    for taint in reversed(some):
        out.update(taint)
    return out


def step(taint: Taint, line: int, why: str) -> Taint:
    """The same one step further."""
    return {label: t.then(line, why) if isinstance(label, int) else t for label, t in taint.items()}


def tokens_in(taint: Taint) -> set[int]:
    """Offsets of the tokens that a value depends on."""
    return {label for label in taint if isinstance(label, int)}


@dataclass(frozen=True, slots=True)
class Value:
    """An abstract value.

    Attributes:
        taint: what it depends on.
        number: its linear form, for a pointer its distance from where ``place`` begins; None when there is none.
        place: the variable that it points into; empty when it is no pointer.
    """

    taint: Taint = field(default_factory=dict)
    number: Linear | None = None
    place: str = ""


@dataclass
class State:
    """Values by variable. Local variables carry their frame as a prefix (``3#name``), fields follow a dot."""

    taints: dict[str, Taint] = field(default_factory=dict)
    numbers: dict[str, Linear] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    written: frozenset[str] = frozenset()
    """Outputs that have been written in this iteration."""

    def content(self, key: str, *, whole: bool = False) -> Taint:
        """What a variable depends on: a field also on its structure; with ``whole`` a structure on its fields."""
        root = key.partition(".")[0]
        taints = [self.taints.get(key, CLEAN), self.taints.get(root, CLEAN) if root != key else CLEAN]
        if whole:
            taints += [taint for name, taint in self.taints.items() if name.startswith(key + ".")]
        return join(*taints)

    def copy(self) -> State:
        """An independent copy."""
        return State(dict(self.taints), dict(self.numbers), dict(self.places), self.written)

    def merge(self, other: State) -> None:
        """Become what holds on either way."""
        for name, taint in other.taints.items():
            self.taints[name] = join(self.taints.get(name, CLEAN), taint)
        self.numbers = {name: form for name, form in self.numbers.items() if other.numbers.get(name) == form}
        self.places = {**other.places, **self.places}
        self.written |= other.written

    def next_iteration(self) -> None:
        """The position moves on by one: what was the next token is now the current one, which leaves the future."""
        moved: dict[str, dict[Label, Trace]] = {
            name: {
                label if label == UNBOUNDED else label - 1: trace
                for label, trace in taint.items()
                if isinstance(label, int) and label > 0
            }
            for name, taint in self.taints.items()
        }
        self.taints = {name: taint for name, taint in moved.items() if taint}
        self.numbers = {
            name: (form.plus(Linear(-1)) or form) if form.terms.get(HERE) == 1 else form
            for name, form in self.numbers.items()
        }
        self.written = frozenset()

    def covers(self, other: State) -> bool:
        """Whether ``other`` adds no token that a variable may depend on."""
        return all(taint.keys() <= self.taints.get(name, CLEAN).keys() for name, taint in other.taints.items())
