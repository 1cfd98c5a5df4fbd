"""Abstract values and the heap on which the mutable ones live.

Mutable things (:class:`Obj`) are updated in place; a branch whose condition is unknown runs both sides on the same heap
with a journal (:class:`Heap`): the first side is rolled back before the second runs, and what either changed is joined.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from auditor.flow import ir
from auditor.flow.affine import Affine
from auditor.flow.provenance import Provenance, Token


class Value:
    """Base of abstract values; ``prov`` is where the value comes from."""

    __slots__ = ("prov",)
    prov: Provenance


class Const(Value):
    """A concrete number, text, None, True or False."""

    __slots__ = ("value",)

    def __init__(self, value: Any, prov: Provenance) -> None:
        self.value, self.prov = value, prov


class Top(Value):
    """An unknown value without structure; ``affine`` names it where it is an integer.

    ``text`` holds what is known of an unknown text, with NUL for the unknown parts.
    """

    __slots__ = ("affine", "text")

    def __init__(self, prov: Provenance, affine: Affine | None = None, text: str | None = None) -> None:
        self.prov, self.affine, self.text = prov, affine, text


class Tuple(Value):
    """A tuple of known length; ``size`` counts what it holds at every depth."""

    __slots__ = ("items", "size")

    def __init__(self, items: tuple[Value, ...], prov: Provenance) -> None:
        self.items, self.prov = items, prov
        self.size: int = len(items) + sum([item.size for item in items if isinstance(item, Tuple)])


class Slice(Value):
    """``slice(lower, upper)``."""

    __slots__ = ("lower", "upper")

    def __init__(self, lower: Value | None, upper: Value | None, prov: Provenance) -> None:
        self.lower, self.upper, self.prov = lower, upper, prov


class External(Value):
    """Something of a library, by its dotted name."""

    __slots__ = ("name",)

    def __init__(self, name: str, prov: Provenance) -> None:
        self.name, self.prov = name, prov


class Method(Value):
    """A library method bound to a value."""

    __slots__ = ("name", "owner")

    def __init__(self, owner: Value, name: str, prov: Provenance) -> None:
        self.owner, self.name, self.prov = owner, name, prov


class Closure(Value):
    """A function of the program with the scope it closes over."""

    __slots__ = ("defaults", "function", "owner", "scope")

    def __init__(
        self, function: ir.Function, scope: Scope, defaults: dict[str, Value], owner: ClassObj | None, prov: Provenance
    ) -> None:
        self.function, self.scope, self.defaults, self.owner, self.prov = function, scope, defaults, owner, prov


class Bound(Value):
    """A function of the program bound to leading arguments: a method, or functools.partial."""

    __slots__ = ("args", "function", "keywords")

    def __init__(self, function: Value, args: tuple[Value, ...], keywords: dict[str, Value], prov: Provenance) -> None:
        self.function, self.args, self.keywords, self.prov = function, args, keywords, prov


class Union(Value):
    """One of several values; ``keys`` says what makes each distinct, in the same order."""

    __slots__ = ("items", "keys")

    def __init__(self, items: tuple[Value, ...], prov: Provenance, keys: dict[object, None] | None = None) -> None:
        self.items, self.prov = items, prov
        self.keys: dict[object, None] = keys if keys is not None else {id(item): None for item in items}


class Obj(Value):
    """Something mutable.

    Attributes:
        birth: orders creations, so that a journal skips what its branch created.
        version: counts changes.
        shared: whether functions may reach it otherwise than through their arguments: held by an instance, a class, a
            module or variables that an inner function sees.
    """

    __slots__ = ("birth", "shared", "version")
    _counter = 0

    def __init__(self, prov: Provenance) -> None:
        Obj._counter += 1
        self.birth = Obj._counter
        self.version = 0
        self.shared = False
        self.prov = prov

    def held(self) -> Iterable[Value | None]:
        """The values that it holds directly."""
        return ()

    def save(self) -> Any:
        """A copy of the state."""
        return self.prov

    def restore(self, state: Any) -> None:
        """Put a saved state back."""
        self.prov = state


class Array(Obj):
    """A tensor or array: ``prov`` is that of its content.

    Attributes:
        start: for stretches of the token stream and index ranges, the first element's position or value.
        stop: for index ranges, a value above all of theirs.
        ndim: number of axes where known.
        base: the array that this one is a view of, which writes reach.
        role: "" for data, "parameter" of a module, or "leaf" for another tensor that requires a gradient.
        rows: whether the first axis is the batch (True), is 1 (False), or unknown.
        mask: whether its elements are truths, so that indexing by it selects and does not look up.
        columns: of windows over the stream, the tokens of the first column; None for other arrays.
        timed: whether its first axis is that of the positions of one window, from the window's first.
    """

    __slots__ = ("base", "columns", "mask", "ndim", "role", "rows", "span", "start", "stop", "timed")

    def __init__(
        self,
        prov: Provenance,
        start: Affine | None = None,
        ndim: int | None = None,
        base: Array | None = None,
        role: str = "",
        rows: bool | None = None,
    ) -> None:
        super().__init__(prov)
        self.start, self.ndim, self.base, self.role, self.rows = start, ndim, base, role, rows
        self.stop: Affine | None = None
        self.span: Any = None
        self.mask = self.timed = False
        self.columns: tuple[Token, ...] | None = None

    def held(self) -> Iterable[Value | None]:
        return (self.base,)

    def save(self) -> Any:
        return (self.prov, self.start, self.role, self.span, self.stop)

    def restore(self, state: Any) -> None:
        self.prov, self.start, self.role, self.span, self.stop = state


FLAT = "flat"
"""The kind of a list that an array of one axis was made into."""


class Seq(Obj):
    """A list, set, deque or iterator: ``items`` while they are few and known, else the summary ``element``.

    ``origin`` is the list that this one is a loop iteration's sight of; what is appended reaches it.
    """

    __slots__ = ("element", "items", "kind", "origin")

    def __init__(self, items: list[Value] | None, element: Value | None, prov: Provenance, kind: str = "list") -> None:
        super().__init__(prov)
        self.items, self.element, self.kind = items, element, kind
        self.origin: Seq | None = None

    def held(self) -> Iterable[Value | None]:
        return (*(self.items or ()), self.element, self.origin)

    def save(self) -> Any:
        return (self.prov, list(self.items) if self.items is not None else None, self.element)

    def restore(self, state: Any) -> None:
        self.prov, items, self.element = state
        self.items = list(items) if items is not None else None


class Dict(Obj):
    """A dict: values under known keys, and the summary of the rest."""

    __slots__ = ("element", "factory", "key", "known")

    def __init__(self, known: dict[Any, Value], prov: Provenance) -> None:
        super().__init__(prov)
        self.known = known
        self.key: Value | None = None
        self.element: Value | None = None
        self.factory: Value | None = None

    def held(self) -> Iterable[Value | None]:
        return (*self.known.values(), self.key, self.element, self.factory)

    def save(self) -> Any:
        return (self.prov, dict(self.known), self.key, self.element)

    def restore(self, state: Any) -> None:
        self.prov, known, self.key, self.element = state
        self.known = dict(known)


class ClassObj(Obj):
    """A class of the program.

    Attributes:
        fields: the names that its body annotates, in order.
        lineage: the class and its ancestors, nearest first.
        is_module: whether a module of torch is among them.
    """

    __slots__ = ("_library", "attrs", "fields", "is_module", "lineage", "name")

    def __init__(
        self, name: str, bases: list[Value], attrs: dict[str, Value], fields: list[str], prov: Provenance
    ) -> None:
        super().__init__(prov)
        self.name, self.attrs, self.fields = name, attrs, fields
        ancestors: dict[Value, None] = {}
        for base in bases:
            ancestors.update(dict.fromkeys(base.lineage if isinstance(base, ClassObj) else (base,)))
        self.lineage: tuple[Value, ...] = (self, *ancestors)
        library = [ancestor.name for ancestor in ancestors if isinstance(ancestor, External)]
        self._library = frozenset(name.rpartition(".")[2] for name in library)
        self.is_module = any(name.startswith("torch.nn.") for name in library)

    def descends_from(self, *names: str) -> bool:
        """Whether a library class whose dotted name ends with one of these is among its ancestors."""
        return not self._library.isdisjoint(names)

    def held(self) -> Iterable[Value | None]:
        return (*self.attrs.values(), *self.lineage)

    def save(self) -> Any:
        return (self.prov, dict(self.attrs))

    def restore(self, state: Any) -> None:
        self.prov, attrs = state
        self.attrs = dict(attrs)


class Instance(Obj):
    """An object of a class of the program, or of a library class that is modelled (``cls`` is then an External)."""

    __slots__ = ("attrs", "cls")

    def __init__(self, cls: Value, prov: Provenance) -> None:
        super().__init__(prov)
        self.cls = cls
        self.attrs: dict[str, Value] = {}

    def held(self) -> Iterable[Value | None]:
        return (self.cls, *self.attrs.values())

    def save(self) -> Any:
        return (self.prov, dict(self.attrs))

    def restore(self, state: Any) -> None:
        self.prov, attrs = state
        self.attrs = dict(attrs)


class Scope(Obj):
    """The names of a module, function or class body; ``captured`` are those that inner functions use."""

    __slots__ = ("captured", "file", "globals_", "names", "outer")

    def __init__(self, outer: Scope | None, file: str, prov: Provenance) -> None:
        super().__init__(prov)
        self.names: dict[str, Value] = {}
        self.outer = outer
        self.file = file
        self.globals_: set[str] = set()
        self.captured: set[str] = set()

    def held(self) -> Iterable[Value | None]:
        if self.outer is None:
            return list(self.names.values())
        return (*[self.names.get(name) for name in self.captured], self.outer)

    def save(self) -> Any:
        return dict(self.names)

    def restore(self, state: Any) -> None:
        self.names = dict(state)


class Heap:
    """The journal: a stack of frames, each remembering the state at its start of what changed since."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, int, dict[Obj, Any]]] = []
        self.stamp = 0
        """Names the present state of what is shared, scopes excepted: equal stamps, equal states."""
        self._stamps = 0
        self._stored: dict[Obj, None] = {}

    @property
    def depth(self) -> int:
        """Number of open frames."""
        return len(self.frames)

    def advance(self) -> None:
        """Something that a remembered call may have read is another now."""
        self._stamps += 1
        self.stamp = self._stamps

    def touch(self, obj: Obj) -> None:
        """Call before changing ``obj``."""
        obj.version += 1
        if obj.shared or isinstance(obj, Instance | ClassObj):
            self._stored[obj] = None
            if not isinstance(obj, Scope):
                self.advance()
        if self.frames:
            start, _, saved = self.frames[-1]
            if obj.birth <= start and obj not in saved:
                saved[obj] = obj.save()

    def share(self, value: Value) -> None:
        """Functions may reach ``value`` from now on without being given it."""
        todo = [value]
        seen: set[Value] = set()
        while todo:
            current = todo.pop()
            if isinstance(current, Obj):
                if current.shared:
                    continue
                current.shared = True
                todo += [v for v in current.held() if v is not None]
            elif current not in seen:
                seen.add(current)
                todo += held_by(current)

    def capture(self, scope: Scope, names: set[str]) -> None:
        """A function made in ``scope`` uses ``names``, of that scope or those around it."""
        while scope.outer is not None:
            scope.captured |= names
            scope.shared = True
            self._stored[scope] = None
            scope = scope.outer

    def share_stored(self) -> None:
        """The same for all that was stored in something shared since the last time."""
        stored, self._stored = self._stored, {}
        for obj in stored:
            for value in obj.held():
                if value is not None:
                    self.share(value)

    def push(self) -> None:
        """Start a frame."""
        self.frames.append((Obj._counter, self.stamp, {}))

    def pop(self) -> dict[Obj, Any]:
        """End the frame: put everything back, and give the states it had reached."""
        _, self.stamp, saved = self.frames.pop()
        reached = {}
        for obj, state in saved.items():
            reached[obj] = obj.save()
            obj.restore(state)
        return reached

    def commit(self) -> bool:
        """End the frame and keep its changes; whether there were none to anything older than the frame."""
        _, _, saved = self.frames.pop()
        if self.frames:
            start, _, outer = self.frames[-1]
            for obj, state in saved.items():
                if obj.birth <= start:
                    outer.setdefault(obj, state)
        return not saved

    def apply(self, states: dict[Obj, Any]) -> None:
        """Move objects to these states."""
        for obj, state in states.items():
            self.move(obj, state)

    def move(self, obj: Obj, state: Any) -> None:
        """Put an object into a state, unless nothing tells it from the present one."""
        if isinstance(obj, Instance) and state[0] is obj.prov and state[1].keys() == obj.attrs.keys():
            pairs = ((v, obj.attrs[k]) for k, v in state[1].items())
            if all(a is b or fingerprint(a) == fingerprint(b) for a, b in pairs):
                return
        if isinstance(obj, Array) and state == obj.save():
            return
        self.touch(obj)
        obj.restore(state)

    def since(self, depth: int) -> dict[Obj, Any]:
        """The present state of everything that changed in the frames above ``depth``."""
        return {obj: obj.save() for _, _, saved in self.frames[depth:] for obj in saved}


def held_by(value: Value) -> list[Value]:
    """What an immutable value holds directly."""
    if isinstance(value, Tuple | Union):
        return list(value.items)
    if isinstance(value, Closure):
        return [value.scope, *value.defaults.values()]
    if isinstance(value, Bound):
        return [value.function, *value.args, *value.keywords.values()]
    if isinstance(value, Method):
        return [value.owner]
    return []


def fingerprint(value: Value) -> object:
    """A fingerprint: equal for values that a function cannot tell apart (identity for what is mutable)."""
    if isinstance(value, Const):
        return type(value.value), value.value, id(value.prov)
    if isinstance(value, Top):
        return "top", id(value.prov), value.text
    if isinstance(value, Array):
        return (
            "array",
            id(value.prov),
            value.start,
            value.stop,
            value.ndim,
            value.span,
            value.rows,
            value.mask,
            value.timed,
            id(value) if value.role else 0,
        )
    if isinstance(value, Tuple):
        return tuple(fingerprint(v) for v in value.items)
    if isinstance(value, Union) and len(value.items) < 8:
        return frozenset(fingerprint(v) for v in value.items)
    if isinstance(value, External):
        return value.name
    if isinstance(value, Method):
        return value.name, fingerprint(value.owner)
    if isinstance(value, Bound):
        return fingerprint(value.function), tuple(fingerprint(v) for v in value.args)
    if isinstance(value, Closure):
        return id(value.function), id(value.scope)
    return id(value), value.version if isinstance(value, Obj) else 0


def is_plain(value: Value) -> bool:
    """Whether a value is a number or a tuple, such as a position or the bounds of a window."""
    if isinstance(value, Union):
        return all(is_plain(item) for item in value.items)
    return isinstance(value, Const | Top | Tuple)


def is_none(value: Value) -> bool:
    """Whether a value is None for certain."""
    return isinstance(value, Const) and value.value is None
