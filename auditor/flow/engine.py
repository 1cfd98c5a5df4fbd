"""The interpreter's state, joins and control of paths; expressions, calls and statements build on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from auditor.flow import ir
from auditor.flow.affine import Affine, Numbering
from auditor.flow.provenance import NO_DEPS, Deps, Fact, Iteration, Lattice, Provenance, Region, Site, Token, live
from auditor.flow.spans import NOWHERE
from auditor.flow.uses import moved
from auditor.flow.values import (
    Array,
    Bound,
    ClassObj,
    Closure,
    Const,
    Dict,
    External,
    Heap,
    Instance,
    Method,
    Obj,
    Scope,
    Seq,
    Top,
    Tuple,
    Union,
    Value,
    is_none,
    is_plain,
)

MAX_ITEMS = 40
"""Longest list whose elements are kept apart."""


_VALIDATION = re.compile(r"(?<![a-z])val(?![a-z]).*(?:\.bin|\*)$")
_BIG = 1 << 256
"""Integers beyond are no positions."""
_FLAT = frozenset({Array, Const, Top, External, Method, Closure})


class BudgetExceededError(Exception):
    """The program needed more steps than it was given."""


class Frame:
    """One call in progress; ``tests`` holds what the undecided conditions depend on under which it runs."""

    __slots__ = ("depth", "exits", "first", "function", "owner", "returns", "scope", "site", "tests", "yields")

    def __init__(self, function: ir.Function | None, scope: Scope, site: Site, depth: int) -> None:
        self.function, self.scope, self.site, self.depth = function, scope, site, depth
        self.returns: list[Value] = []
        self.exits: list[dict[Obj, Any]] = []
        self.yields: list[Value] = []
        self.owner: ClassObj | None = None
        self.first: Value | None = None
        self.tests: list[Deps] = []


class Running:
    """One loop in progress."""

    __slots__ = ("abstract", "asked", "birth", "breaks", "continues", "depth", "iteration", "owner")

    def __init__(self, owner: object, iteration: Iteration, abstract: bool, birth: int, depth: int) -> None:
        self.owner, self.iteration, self.abstract, self.birth, self.depth = owner, iteration, abstract, birth, depth
        self.asked = 0
        self.breaks: list[dict[Obj, Any]] = []
        self.continues: list[dict[Obj, Any]] = []


class Engine:
    """State shared by the whole interpretation."""

    def __init__(self, budget: int) -> None:
        self.numbers = Numbering()
        self.lattice = Lattice(self.numbers)
        self.heap = Heap()
        self.frames: list[Frame] = []
        self.loops: list[Running] = []
        self.budget = budget
        self.steps = 0
        self.file = ""
        self.nonzero = NOWHERE
        """Integers known not to be 0 on the present path, in their general form."""
        self.nothing = Const(None, self.lattice.none)
        self.reasons: dict[str, None] = {}
        self.effects = 0
        """Counts what a remembered call must not skip: reports, events, reads of the outside world."""

    # -- places ------------------------------------------------------------------------------------------------------

    def at(self, node: ir.Node) -> None:
        """Note where the interpretation is, and charge one step."""
        site = self.lattice.site
        if site.line != node.line or site.file != self.file:
            self.lattice.site = Site(self.file, node.line)
        self.steps += 1
        if self.steps > self.budget:
            raise BudgetExceededError

    def stack(self) -> tuple[Site, ...]:
        """The calls in progress, outermost first."""
        return tuple(frame.site for frame in self.frames if frame.site.line)

    def in_module(self) -> bool:
        """Whether a method of a module runs now."""
        owner = self.frames[-1].owner
        return owner is not None and owner.is_module

    def impure_deps(self, since: int = 0) -> frozenset[Iteration]:
        """The loop iterations in progress: what a value from outside the program may depend on.

        Args:
            since: leave out loops that began before the object with this ``birth`` was made.
        """
        running = [loop for loop in self.loops if loop.birth >= since]
        for loop in running:
            loop.asked += 1
        return frozenset([loop.iteration for loop in running])

    def asked(self, loops: list[Running]) -> int:
        """How often values were made dependent on the present iterations of these loops."""
        return sum([loop.asked for loop in loops])

    # -- values ------------------------------------------------------------------------------------------------------

    def const(self, value: Any) -> Const:
        """A constant without provenance."""
        return Const(value, self.lattice.none)

    def top(self, prov: Provenance | None = None, affine: Affine | None = None) -> Top:
        """An unknown value."""
        return Top(prov or self.lattice.none, affine)

    def outside(self, *values: Value) -> Top:
        """An unknown value from outside the program (a clock, a file, a queue)."""
        self.effects += 1
        prov = self.prov_of(values)
        # What the outside remembers of earlier iterations does not make this answer one of theirs.
        owners = {loop.owner for loop in self.loops}
        kept = frozenset(d for d in prov.deps if d.loop not in owners)
        return Top(self.lattice.change(prov, deps=kept | self.impure_deps()), self.numbers.fresh())

    def prov_of(self, values: Iterable[Value]) -> Provenance:
        """Union of the provenance of values, contents of containers included."""
        union = self.lattice.union
        result = self.lattice.none
        for value in values:
            result = union(result, self.deep(value))
        return result

    def deep(self, value: Value, level: int = 0) -> Provenance:
        """Provenance of a value and what it holds."""
        result = value.prov
        if type(value) in _FLAT:
            return result
        if level > 4:
            return result
        union = self.lattice.merge
        for part in self.parts(value):
            result = union(result, self.deep(part, level + 1))
        return result

    @staticmethod
    def parts(value: Value) -> list[Value]:
        """What a container or object holds directly."""
        if isinstance(value, Tuple | Union):
            return list(value.items)
        if isinstance(value, Seq):
            return list(value.items) if value.items is not None else [value.element] if value.element else []
        if isinstance(value, Dict):
            return [*value.known.values(), *([value.element] if value.element else [])]
        if isinstance(value, Instance) and isinstance(value.cls, External):
            return [v for v in value.attrs.values() if not isinstance(v, Instance)]
        return []

    def affine(self, value: Value | None) -> Affine | None:
        """The integer that a value is, where it is known as an affine form."""
        if isinstance(value, Const):
            known = isinstance(value.value, int) and abs(value.value) < _BIG
            return Affine(value.value) if known else None
        affine = value.affine if isinstance(value, Top) else value.start if isinstance(value, Array) else None
        return affine if affine is None or abs(affine.const) < _BIG else None

    def with_prov(self, value: Value, prov: Provenance) -> Value:
        """The same value with another provenance: a view for an array, a copy for an immutable value."""
        if prov is value.prov:
            return value
        if isinstance(value, Const):
            return Const(value.value, prov)
        if isinstance(value, Top):
            return Top(prov, value.affine, value.text)
        if isinstance(value, Tuple):
            return Tuple(value.items, prov)
        if isinstance(value, Array):
            view = Array(prov, value.start, value.ndim, value, value.role, value.rows)
            view.span, view.mask, view.stop, view.timed = value.span, value.mask, value.stop, value.timed
            return view
        return value

    def add_facts(self, value: Value, facts: Iterable[Fact]) -> Value:
        """A value that also carries facts."""
        prov = value.prov
        return self.with_prov(value, self.lattice.change(prov, facts=prov.facts | frozenset(facts)))

    def refine(self, value: Value, iterations: Deps, ordinal: int) -> Value:
        """An element as one loop iteration sees it: different iterations see different data."""
        lattice = self.lattice
        if isinstance(value, Top):
            affine = self._seen(value.affine, ordinal) if value.affine else None
            return Top(self._refined(value.prov, iterations, ordinal), affine, value.text)
        if isinstance(value, Tuple):
            items = tuple(self.refine(item, iterations, ordinal) for item in value.items)
            return Tuple(items, lattice.change(value.prov, deps=value.prov.deps | iterations))
        if isinstance(value, Array):
            if value.role:
                return value
            start = self._seen(value.start, ordinal) if value.start else None
            view = Array(self._refined(value.prov, iterations, ordinal), start, value.ndim, value, value.role)
            view.span = value.span
            return view
        if isinstance(value, Seq) and value.items is None and value.element is not None and is_plain(value.element):
            # A list out of a list of lists, such as the windows of each chunk.
            sight = Seq(None, self.refine(value.element, iterations, ordinal), value.prov, value.kind)
            sight.origin = value
            return sight
        if isinstance(value, Union):
            return self.join_all([self.refine(item, iterations, ordinal) for item in value.items])
        return value

    def _refined(self, prov: Provenance, iterations: Deps, ordinal: int) -> Provenance:
        regions = frozenset(self._later(r, iterations) for r in prov.regions)
        tokens = frozenset(Token(self._seen(t.position, ordinal), t.reduced, t.site) for t in prov.tokens)
        of = moved(prov.uses, lambda position: self._seen(position, ordinal))
        return self.lattice.change(prov, deps=prov.deps | iterations, regions=regions, tokens=tokens, uses=of)

    def _seen(self, of: Affine, ordinal: int) -> Affine:
        """An element that a loop sees, which a loop inside it does not."""
        return self.numbers.element(of, (len(self.loops), ordinal))

    @staticmethod
    def _later(region: Region, iterations: Deps) -> Region:
        return Region(live(region.deps) | iterations, region.span, None, None, region.site)

    # -- joins -------------------------------------------------------------------------------------------------------

    def join_all(self, values: list[Value]) -> Value:
        """Join of several values; None when there is none."""
        if not values:
            return self.nothing
        result = values[0]
        for value in values[1:]:
            result = self.join(result, value)
        return result

    def join(self, a: Value | None, b: Value | None) -> Value:
        """Either value."""
        if a is b or b is None:
            return a or self.nothing
        if a is None:
            return b
        prov = self.lattice.merge(a.prov, b.prov)
        if names_validation(a) and names_validation(b) and _key(a) != _key(b):
            return self._union(a, b, prov)
        if isinstance(a, Const) and isinstance(b, Const):
            if type(a.value) is type(b.value) and a.value == b.value:
                return Const(a.value, prov)
            if a.value is not None and b.value is not None:
                left, right = self.affine(a), self.affine(b)
                if left is None or right is None:
                    return Top(prov, self.numbers.of(("phi", repr(a.value), repr(b.value))), _either_path(a, b))
                return Top(prov, self.numbers.either(left, right))
        if isinstance(a, Top | Const) and isinstance(b, Top | Const) and not is_none(a) and not is_none(b):
            left, right = self.affine(a), self.affine(b)
            same = left if left is not None and left == right else None
            if same is None and left is not None and right is not None:
                same = self.numbers.either(left, right)
            return Top(prov, same, _either_path(a, b))
        if isinstance(a, Tuple) and isinstance(b, Tuple) and len(a.items) == len(b.items):
            return Tuple(tuple(self.join(x, y) for x, y in zip(a.items, b.items, strict=True)), prov)
        if isinstance(a, External) and isinstance(b, External) and a.name == b.name:
            return a
        if isinstance(a, Array) and isinstance(b, Array) and not a.role and not b.role:
            if a.prov is b.prov and a.start == b.start:
                return a
            start = a.start if a.start == b.start else None
            joined = Array(prov, start, a.ndim if a.ndim == b.ndim else None)
            joined.span = a.span if a.span == b.span else None
            return joined
        return self._union(a, b, prov)

    def _union(self, a: Value, b: Value, prov: Provenance) -> Value:
        if isinstance(a, Union) and not isinstance(b, Union) and _key(b) in a.keys:
            return a if a.prov is prov else Union(a.items, prov, a.keys)
        keyed: dict[object, Value] = {}
        for value in (a, b):
            if isinstance(value, Union):
                for key, item in zip(value.keys, value.items, strict=True):
                    keyed.setdefault(key, item)
            else:
                keyed.setdefault(_key(value), value)
        items = list(keyed.values())
        if len(items) == 1:
            return items[0]
        items = items[: MAX_ITEMS * 4]
        keys: dict[object, None] = dict.fromkeys(list(keyed)[: MAX_ITEMS * 4])
        return Union(tuple(items), prov, keys)

    def join_states(self, obj: Obj, a: Any, b: Any) -> Any:
        """Join two saved states of one object."""
        if isinstance(obj, Scope):
            return self._join_names(a, b)
        if isinstance(obj, Seq):
            return self._join_seq(a, b)
        if isinstance(obj, Dict):
            prov = self.lattice.merge(a[0], b[0])
            key = self.join(a[2], b[2]) if a[2] or b[2] else None
            element = self.join(a[3], b[3]) if a[3] or b[3] else None
            return (prov, self._join_names(a[1], b[1]), key, element)
        if isinstance(obj, Instance | ClassObj):
            return (self.lattice.merge(a[0], b[0]), self._join_names(a[1], b[1]))
        if isinstance(obj, Array):
            start, span, stop = (a[i] if a[i] == b[i] else None for i in (1, 3, 4))
            return (self.lattice.merge(a[0], b[0]), start, a[2] or b[2], span, stop)
        return self.lattice.merge(a, b)

    def _join_names(self, a: dict[Any, Value], b: dict[Any, Value]) -> dict[Any, Value]:
        result = dict(a)
        for name, value in b.items():
            mine = a.get(name)
            if mine is not value:
                result[name] = value if mine is None else self.join(mine, value)
        return result

    def _join_seq(self, a: Any, b: Any) -> Any:
        prov = self.lattice.merge(a[0], b[0])
        if a[1] is not None and b[1] is not None and len(a[1]) == len(b[1]):
            return (prov, [self.join(x, y) for x, y in zip(a[1], b[1], strict=True)], None)
        everything = [*(a[1] or []), *(b[1] or []), *(v for v in (a[2], b[2]) if v is not None)]
        return (prov, None, self.join_all(everything) if everything else None)

    # -- paths -------------------------------------------------------------------------------------------------------

    def fork(
        self,
        first: Callable[[], bool],
        second: Callable[[], bool],
        joined: Callable[[dict[Obj, Any], dict[Obj, Any]], None] | None = None,
    ) -> bool:
        """Run two alternatives from the same state and join; each says whether its path goes on, so does the result."""
        self.heap.push()
        try:
            goes_on = first()
        finally:
            reached = self.heap.pop()
        self.heap.push()
        try:
            other_goes_on = second()
        finally:
            other = self.heap.pop()
        if goes_on and other_goes_on:
            if joined is not None:
                joined(reached, other)
            self.merge(reached, other)
        elif goes_on:
            self.heap.apply(reached)
        elif other_goes_on:
            self.heap.apply(other)
        return goes_on or other_goes_on

    def merge(self, a: dict[Obj, Any], b: dict[Obj, Any]) -> None:
        """Move the heap to the join of two sets of changed states."""
        for obj in {**a, **b}:
            present = None if obj in a and obj in b else obj.save()
            state = self.join_states(obj, a.get(obj, present), b.get(obj, present))
            self.heap.move(obj, state)

    def absorb(self, captured: list[dict[Obj, Any]], alive: bool) -> None:
        """Join states captured where a path left (return, break, continue) into the present one.

        Args:
            captured: states of those paths.
            alive: whether the present path goes on too; if not, the first captured state replaces it.
        """
        for states in captured:
            if alive:
                self.merge(states, {})
            else:
                self.heap.apply(states)
                alive = True

    # -- containers --------------------------------------------------------------------------------------------------

    def summarise(self, seq: Seq) -> None:
        """Forget how many elements there are."""
        if seq.items is not None:
            self.heap.touch(seq)
            seq.element = self.join_all(seq.items) if seq.items else None
            seq.items = None

    def append(self, seq: Seq, value: Value) -> None:
        """Add an element; in a loop that stands for many iterations the length is lost."""
        if seq.origin is not None:
            self.append(seq.origin, value)
        self.heap.touch(seq)
        if any(loop.abstract and seq.birth <= loop.birth for loop in self.loops):
            self.summarise(seq)
        if seq.items is not None and len(seq.items) < MAX_ITEMS:
            seq.items.append(value)
        else:
            self.summarise(seq)
            seq.element = value if seq.element is None else self.join(seq.element, value)

    def extend(self, seq: Seq, values: Value) -> None:
        """Add all elements of an iterable."""
        items = self.known_items(values)
        if items is not None:
            for item in items:
                self.append(seq, item)
            return
        element = self.elements(values)
        self.summarise(seq)
        self.heap.touch(seq)
        seq.element = element if seq.element is None else self.join(seq.element, element)

    def known_items(self, value: Value) -> list[Value] | None:
        """The elements of an iterable whose length is known."""
        raise NotImplementedError

    def elements(self, value: Value) -> Value:
        """Any element of an iterable."""
        if isinstance(value, Tuple):
            return self.join_all(list(value.items))
        if isinstance(value, Seq):
            if value.items is not None:
                return self.join_all(list(value.items))
            return value.element or Top(value.prov)
        if isinstance(value, Dict):
            if value.known and value.key is None:
                return self.join_all([self.const(k) for k in value.known])
            return value.key or Top(value.prov, None)
        if isinstance(value, Union):
            return self.join_all([self.elements(v) for v in value.items if not is_none(v)])
        if isinstance(value, Array):
            if value.start is not None:
                return Top(value.prov, value.start)
            view = Array(value.prov, None, value.ndim - 1 if value.ndim else None, value, value.role)
            view.span = value.span
            return view
        return Top(value.prov, self.numbers.of(("any", value)))


def names_validation(value: Value) -> bool:
    """Whether a value is the name of validation files, or a pattern of such: another name of them is no other data."""
    text = value.text if isinstance(value, Top) else value.value if isinstance(value, Const) else None
    return isinstance(text, str) and _VALIDATION.search(text.rpartition("/")[2]) is not None


def _either_path(a: Value, b: Value) -> str | None:
    """What two paths have in common, with NUL for where they differ, such as the number of a rank."""
    texts = [v.text if isinstance(v, Top) else v.value if isinstance(v, Const) else None for v in (a, b)]
    if not all(isinstance(text, str) and "/" in text for text in texts):
        return None
    left, right = map(str, texts)
    if left == right:
        return left
    start = _same_start(left, right)
    end = _same_start(left[:start:-1], right[:start:-1])
    return f"{left[:start]}\0{left[len(left) - end :]}" if left[:start].strip("\0/") else None


def _same_start(left: str, right: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def _key(value: Value) -> object:
    """What makes two values of a union the same."""
    if isinstance(value, Top) and value.text is not None:
        return value.text
    if isinstance(value, Const):
        return type(value.value), value.value
    if isinstance(value, Closure):
        return id(value.function), id(value.scope)
    if isinstance(value, External):
        return value.name
    if isinstance(value, Bound):
        return _key(value.function), tuple(id(v) for v in value.args)
    if isinstance(value, Method):
        return value.name, id(value.owner)
    return id(value)


__all__ = ["MAX_ITEMS", "NO_DEPS", "BudgetExceededError", "Engine", "Frame", "Running", "names_validation"]
