"""Python's objects: attributes by name, types, partial functions, copies."""

from __future__ import annotations

from collections.abc import Callable

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.values import (
    Array,
    Bound,
    ClassObj,
    Closure,
    Const,
    Dict,
    External,
    Instance,
    Scope,
    Seq,
    Top,
    Tuple,
    Union,
    Value,
)


def _getattr(call: LibraryCall) -> Value | None:
    engine = call.engine
    name = call.constant(1)
    if not isinstance(name, str):
        return engine.join_all(engine.parts(call.args[0])) if engine.parts(call.args[0]) else Top(call.prov())
    owner = call.args[0]
    if len(call.args) > 2 and isinstance(owner, Instance | Scope | ClassObj | Closure):
        known = owner.attrs if isinstance(owner, Instance | ClassObj) else {}
        if name not in known and not (isinstance(owner, Instance) and engine.find(owner.cls, name) is not None):
            return call.args[2]
    return engine.attribute(owner, name)


def _setattr(call: LibraryCall) -> Value:
    engine = call.engine
    name = call.constant(1)
    if isinstance(name, str):
        engine.set_attribute(call.args[0], name, call.args[2])
    return engine.nothing


def _hasattr(call: LibraryCall) -> Value:
    engine = call.engine
    name = call.constant(1)
    owner = call.args[0]
    if isinstance(owner, Instance) and isinstance(name, str):
        if name in owner.attrs or engine.find(owner.cls, name) is not None:
            return engine.const(True)
        if isinstance(owner.cls, ClassObj):
            return engine.const(False)
    return engine.top()


def _isinstance(call: LibraryCall) -> Value:
    engine = call.engine
    value, cls = call.args[0], call.args[1]
    classes = list(cls.items) if isinstance(cls, Tuple) else [cls]
    if isinstance(value, Instance) and all(isinstance(c, ClassObj | External) for c in classes):
        names = [c.name.rpartition(".")[2] for c in classes if isinstance(c, External)]
        same = any(b is c for b in engine.bases(value.cls) for c in classes)
        return engine.const(same or engine.inherits(value.cls, *names))
    if isinstance(value, Const) and isinstance(cls, External):
        kind = {"str": str, "int": int, "float": float, "bool": bool, "bytes": bytes}.get(cls.name.rpartition(".")[2])
        if kind is not None:
            return engine.const(isinstance(value.value, kind))
    return engine.top()


def _super(call: LibraryCall) -> Value:
    engine = call.engine
    frame = engine.frames[-1]
    proxy = Instance(External("super", engine.lattice.none), engine.lattice.none)
    this = call.args[1] if len(call.args) > 1 else frame.first or engine.nothing
    cls = call.args[0] if call.args else frame.owner or engine.nothing
    proxy.attrs = {"this": this, "class": cls}
    return proxy


def _partial(call: LibraryCall) -> Value:
    return Bound(call.args[0], tuple(call.args[1:]), dict(call.keywords), call.engine.lattice.none)


def identity(call: LibraryCall) -> Value | None:
    """A function that gives back what it is given; without arguments a decorator that does."""
    return (
        call.args[0]
        if call.args
        else Bound(External("identity", call.engine.lattice.none), (), {}, call.engine.lattice.none)
    )


def _namespace(call: LibraryCall) -> Value:
    instance = Instance(External("types.SimpleNamespace", call.engine.lattice.none), call.engine.lattice.none)
    instance.attrs = dict(call.keywords)
    return instance


def copied(call: LibraryCall) -> Value:
    """``copy.deepcopy(value)``."""
    return duplicate(call, call.args[0], {})


def duplicate(
    call: LibraryCall,
    value: Value,
    seen: dict[int, Value],
    change: Callable[[P.Provenance], P.Provenance] = lambda p: p,
) -> Value:
    """A deep copy; ``change`` gives each part's provenance."""
    known = seen.get(id(value))
    if known is not None:
        return known
    copy: Value = value
    if isinstance(value, Array):
        copy = Array(change(value.prov), value.start, value.ndim, None, value.role, value.rows)
        seen[id(value)] = copy
    elif isinstance(value, Seq):
        made = Seq(None, None, change(value.prov), value.kind)
        seen[id(value)] = copy = made
        made.items = [duplicate(call, v, seen, change) for v in value.items] if value.items is not None else None
        made.element = duplicate(call, value.element, seen, change) if value.element is not None else None
    elif isinstance(value, Dict):
        table = Dict({}, change(value.prov))
        seen[id(value)] = copy = table
        table.known = {k: duplicate(call, v, seen, change) for k, v in value.known.items()}
        table.key = value.key
        table.element = duplicate(call, value.element, seen, change) if value.element is not None else None
    elif isinstance(value, Instance):
        instance = Instance(value.cls, change(value.prov))
        seen[id(value)] = copy = instance
        instance.attrs = {k: duplicate(call, v, seen, change) for k, v in value.attrs.items()}
    elif isinstance(value, Tuple):
        copy = Tuple(tuple(duplicate(call, v, seen, change) for v in value.items), change(value.prov))
    elif isinstance(value, Union):
        copy = Union(tuple(duplicate(call, v, seen, change) for v in value.items), change(value.prov))
    elif isinstance(value, Bound):
        bound = tuple(duplicate(call, v, seen, change) for v in value.args)
        copy = Bound(value.function, bound, value.keywords, change(value.prov))
    return copy


FUNCTIONS: dict[str, Model] = {
    "builtins.getattr": _getattr, "builtins.setattr": _setattr, "builtins.hasattr": _hasattr,
    "builtins.isinstance": _isinstance, "builtins.super": _super, "SimpleNamespace": _namespace,
    "Namespace": _namespace, "partial": _partial, "deepcopy": copied, "copy.copy": copied,
    **dict.fromkeys(("identity", "torch.compile", "torch.jit.script", "DistributedDataParallel", "DDP",
                     "no_type_check"), identity),
    "wraps": lambda call: External("identity", call.engine.lattice.none),
}  # fmt: skip
