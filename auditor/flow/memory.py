"""Remembered calls: what a function without effects gave, by everything that its result depends on.

That is its arguments, with all that they hold, and the shared state that any function may reach (:class:`Heap` stamps
it). A forward pass runs the same few functions for every layer, and layers that hold alike parameters act alike: a
module is known by its structure, not by its identity.
"""

from __future__ import annotations

from auditor.flow.provenance import Iteration
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
    Seq,
    Top,
    Tuple,
    Union,
    Value,
    fingerprint,
)

_LARGEST = 2_000
"""Values that a key may hold; a call with more is followed each time."""

Key = tuple[object, ...]
Loops = tuple[Iteration, ...]


class CallMemory:
    """Results of calls, and the keys that tell calls apart.

    Args:
        heap: whose stamp says whether shared state may have changed.
    """

    def __init__(self, heap: Heap) -> None:
        self._heap = heap
        self._results: dict[Key, tuple[Value, Loops | None]] = {}
        self._structures: dict[int, object] = {}
        self._numbers: dict[object, int] = {}
        self._stamp = -1
        self._left = 0

    def key(self, closure: Closure, args: list[Value], keywords: dict[str, Value], *others: object) -> Key:
        """What the result of a call without effects depends on.

        Args:
            closure: the function.
            args: its arguments.
            keywords: its arguments by name.
            *others: what else the interpretation of a call depends on.
        """
        self._heap.share_stored()
        if self._stamp != self._heap.stamp:
            self._stamp = self._heap.stamp
            self._structures.clear()
        self._left = _LARGEST
        values = tuple([self._known_by(v) for v in args])
        named = tuple([(k, self._known_by(v)) for k, v in keywords.items()])
        return id(closure.function), id(closure.scope), values, named, self._stamp, others

    def get(self, key: Key, loops: Loops) -> Value | None:
        """A copy of a remembered result, so that a change in place does not reach what is remembered."""
        known = self._results.get(key)
        if known is None or (known[1] is not None and known[1] != loops):
            return None
        return _fresh(known[0])

    def put(self, key: Key, result: Value, loops: Loops | None) -> Value:
        """Remember a result where it can be given again; what the caller gets.

        Args:
            key: see :meth:`key`.
            result: what the call gave.
            loops: the loop iterations in progress if the result depends on them, else None.
        """
        if not _copyable(result):
            return result
        self._results[key] = (result, loops)
        return _fresh(result)

    def _known_by(self, value: Value) -> object:
        """Equal for values that a call without effects cannot tell apart while the stamp stays the same."""
        self._left -= 1
        if self._left < 0:
            return object()  # like no other
        kind = type(value)
        if kind is Array:
            return self._part(value)
        if kind is Instance:
            known = self._structures.get(id(value))
            if known is None:
                self._structures[id(value)] = id(value)  # for what refers back to it
                known = self._structures[id(value)] = self._structure(value)  # type: ignore[arg-type]  # by its type
            return known
        if isinstance(value, Tuple):
            return tuple([self._known_by(v) for v in value.items])
        if isinstance(value, Seq):
            held = value.items if value.items is not None else [value.element] if value.element is not None else []
            return (value.kind, value.items is None, id(value.prov), *[self._known_by(v) for v in held])
        if isinstance(value, Dict):
            known = tuple([(k, self._known_by(v)) for k, v in value.known.items()])
            rest = tuple([self._known_by(v) for v in (value.key, value.element, value.factory) if v is not None])
            return id(value.prov), known, rest
        if isinstance(value, Union):
            return frozenset([self._known_by(v) for v in value.items])
        if isinstance(value, Bound):
            return self._known_by(value.function), tuple([self._known_by(v) for v in value.args])
        if isinstance(value, Method):
            return value.name, self._known_by(value.owner)
        return fingerprint(value)

    def _structure(self, instance: Instance) -> object:
        alike = _is_module(instance)
        parts = tuple(
            [(name, self._part(part) if alike else self._known_by(part)) for name, part in instance.attrs.items()]
        )
        cls = instance.cls.name if isinstance(instance.cls, External) else id(instance.cls)
        key = (cls, 0 if alike else id(instance), id(instance.prov), parts)
        # A number in place of the nested key: hashing it again and again would cost more than it saves.
        return -1 - self._numbers.setdefault(key, len(self._numbers))

    def _part(self, value: Value) -> object:
        """A module's parameter, by what it carries and not by its identity."""
        if type(value) is Array:
            return id(value.prov), value.start, value.ndim, value.span, value.rows, value.role
        return self._known_by(value)


def _is_module(instance: Instance) -> bool:
    cls = instance.cls
    return cls.is_module if isinstance(cls, ClassObj) else isinstance(cls, External)


def _fresh(value: Value) -> Value:
    if isinstance(value, Array) and not value.role:
        copy = Array(value.prov, value.start, value.ndim, None, "", value.rows)
        copy.span, copy.mask, copy.stop, copy.timed = value.span, value.mask, value.stop, value.timed
        return copy
    if isinstance(value, Tuple):
        return Tuple(tuple(_fresh(v) for v in value.items), value.prov)
    return value


def _copyable(value: Value) -> bool:
    """Whether a remembered result can be given again."""
    if isinstance(value, Tuple):
        return all(_copyable(v) for v in value.items)
    return isinstance(value, Const | Top | External | Closure) or (isinstance(value, Array) and not value.role)
