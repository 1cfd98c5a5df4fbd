"""Models of Python's own library: builtins, containers, environment, files, paths."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.affine import ZERO
from auditor.flow.library_call import LibraryCall, Model
from auditor.flow.library_tensors import default
from auditor.flow.provenance import NO_DEPS, Region, Token
from auditor.flow.values import (
    Array,
    Bound,
    ClassObj,
    Closure,
    Const,
    Dict,
    External,
    Instance,
    Method,
    Obj,
    Scope,
    Seq,
    Top,
    Tuple,
    Union,
    Value,
)

_VAL_PATH = re.compile(r"(?<![a-z])val(?![a-z])|valid", re.IGNORECASE)
_TRAIN_PATH = re.compile(r"(?<![a-z])train(?![a-z_]*gpt)", re.IGNORECASE)
_BYTE_PATH = re.compile(r"byte", re.IGNORECASE)
_EVERY_SHARD = re.compile(r"fineweb\w*\*[\w*]*\.bin$")
"""A pattern of shards that names neither split and so means both."""


# -- numbers and text ------------------------------------------------------------------------------------------------


def _folded(call: LibraryCall) -> Value | None:
    """A function of constants is a constant."""
    functions: dict[str, Callable[..., Any]] = {
        "int": int, "float": float, "str": str, "bool": bool, "abs": abs, "round": round, "min": min, "max": max,
        "log": math.log, "log2": math.log2, "sqrt": math.sqrt, "ceil": math.ceil, "floor": math.floor, "exp": math.exp,
        "len": len, "sum": sum, "chr": chr, "ord": ord,
    }  # fmt: skip
    function = functions.get(call.name)
    if function is None or call.keywords or not call.args:
        return None
    values = []
    for arg in call.args:
        if not isinstance(arg, Const):
            return None
        values.append(arg.value)
    try:
        result = function(*values)
    except Exception:  # noqa: BLE001 - the program's own error
        return None
    return Const(result, call.prov())


def _number(call: LibraryCall) -> Value | None:
    folded = _folded(call)
    if folded is not None or not call.args:
        return folded or call.engine.const({"int": 0, "float": 0.0, "str": "", "bool": False}.get(call.name))
    value = call.args[0]
    if call.name == "bool":
        truth = call.engine.truth(value)
        return Top(value.prov) if truth is None else Const(truth, value.prov)
    text = call.engine.text_of(value) if call.name == "str" else None
    return Top(call.engine.deep(value), call.engine.affine(value), text)


def _extremum(call: LibraryCall) -> Value | None:
    folded = _folded(call)
    if folded is not None:
        return folded
    engine = call.engine
    args = call.args
    if len(args) == 1:
        element = engine.elements(args[0])
        items = engine.known_items(args[0]) or []
        if any(engine.oracle(a.prov, b.prov) for i, a in enumerate(items) for b in items[i + 1 :]):
            return engine.better(Top(engine.deep(element)))
        return Top(engine.deep(element)) if not isinstance(element, Array) else None
    scores = [a for a in args if isinstance(a, Top | Array)]
    if any(engine.oracle(a.prov, b.prov) for i, a in enumerate(scores) for b in scores[i + 1 :]):
        return engine.better(default(call))
    if not all(isinstance(a, Const | Top) for a in args):
        return None
    prov = call.prov()
    parts = [engine.affine(a) for a in args]
    return Top(prov, engine.numbers.of((call.name, *parts)) if None not in parts else None)


def _len(call: LibraryCall) -> Value | None:
    engine = call.engine
    value = call.args[0] if call.args else engine.nothing
    folded = _folded(call)
    if folded is not None:
        return folded
    items = engine.known_items(value)
    if items is not None:
        return engine.const(len(items))
    if isinstance(value, Instance):
        method = engine.find(value.cls, "__len__")
        if method is not None:
            return engine.call(method, [value], {})
    engine.keep(value)
    texts = value.prov.flags & P.TABLE and value.prov.flags & P.VAL and isinstance(value, Top)
    counted = engine.lattice.make(
        P.BYTES if texts else value.prov.flags & P.BYTES, value.prov.deps
    )  # of a token's text
    return Top(counted, engine.numbers.of(("len", id(value))))


def _hash(call: LibraryCall) -> Value:
    return Top(call.engine.lattice.flagged(call.prov(), P.HASHED))


# -- iteration -------------------------------------------------------------------------------------------------------


def _range(call: LibraryCall) -> Value:
    engine = call.engine
    numbers = [a.value if isinstance(a, Const) else None for a in call.args]
    prov = call.prov()
    if numbers and all(isinstance(n, int) for n in numbers):
        values = range(*numbers)  # type: ignore[arg-type]  # checked by the line above
        if len(values) <= 12:
            return Seq([Const(v, prov) for v in values], None, prov, "range")
    key = tuple(engine.affine(a) for a in call.args)
    affine = engine.numbers.of(("range", *key)) if None not in key else engine.numbers.fresh()
    return Seq(None, Top(prov, affine), prov, "range")


def _enumerate(call: LibraryCall) -> Value | None:
    engine = call.engine
    value = engine.iterated(call.args[0])
    items = engine.known_items(value)
    start = call.constant(1, "start")
    first = start if isinstance(start, int) else 0
    none = engine.lattice.none
    if items is not None:
        return Seq([Tuple((engine.const(first + i), v), none) for i, v in enumerate(items)], None, none)
    engine.keep(value)
    index = Top(none, engine.numbers.of(("enumerate", id(value))))
    return Seq(None, Tuple((index, engine.elements(value)), none), none)


def _loader(call: LibraryCall) -> Value | None:
    """``DataLoader(dataset)``: batches of what the dataset gives."""
    engine = call.engine
    dataset = call.arg(0, "dataset")
    return None if dataset is None else Seq(None, engine.elements(engine.iterated(dataset)), engine.lattice.none)


def _zip(call: LibraryCall) -> Value | None:
    engine = call.engine
    none = engine.lattice.none
    args = [engine.iterated(a) for a in call.args]
    known = [engine.known_items(a) for a in args]
    exact = [k for k in known if k is not None]
    if exact and len(exact) == len(known):
        return Seq([Tuple(t, none) for t in zip(*exact, strict=False)], None, none)
    return Seq(None, Tuple(tuple(engine.elements(a) for a in args), none), none)


def _sequence(call: LibraryCall) -> Value | None:
    engine = call.engine
    none = engine.lattice.none
    kind = call.name if call.name in {"list", "set", "tuple", "deque"} else "list"
    if not call.args:
        return Seq([], None, none, kind) if kind != "tuple" else Tuple((), none)
    value = call.args[0]
    items = engine.known_items(value)
    if kind == "tuple" and items is not None:
        return Tuple(tuple(items), value.prov)
    if isinstance(value, Instance):
        value = engine.iterated(value)
        items = engine.known_items(value)
    if items is not None:
        return Seq(list(items), None, value.prov, kind)
    return Seq(None, engine.elements(value), value.prov, kind)


def _map(call: LibraryCall) -> Value:
    engine = call.engine
    result = engine.call(call.args[0], [engine.elements(a) for a in call.args[1:]], {})
    return Seq(None, result, engine.lattice.none)


def _filter(call: LibraryCall) -> Value:
    return Seq(None, call.engine.elements(call.args[-1]), call.engine.lattice.none)


def _next(call: LibraryCall) -> Value:
    engine = call.engine
    value = call.args[0]
    if isinstance(value, Instance):
        method = engine.find(value.cls, "__next__")
        if method is not None:
            return engine.call(method, [value], {})
    element = engine.elements(value)
    deps = engine.impure_deps()
    if deps:
        element = engine.depending(element, engine.lattice.make(deps=deps))
    return element


def _dict(call: LibraryCall) -> Value:
    engine = call.engine
    result = Dict(dict(call.keywords), engine.lattice.none)
    args = call.args
    if call.name == "defaultdict":
        result.factory = args[0] if args else None
        args = args[1:]
    if args:
        source = args[0]
        pair = engine.elements(source) if not isinstance(source, Dict) else None
        items = engine.known_items(source) if isinstance(source, Seq) else None
        if items is not None and all(isinstance(i, Tuple) and len(i.items) == 2 for i in items):
            for item in items:
                if isinstance(item, Tuple):
                    engine.store_item(result, item.items[0], item.items[1])
        elif isinstance(pair, Tuple) and len(pair.items) == 2:
            engine.store_item(result, Top(pair.items[0].prov), pair.items[1])
        else:
            engine.update_dict(result, source)
    return result


# -- objects ---------------------------------------------------------------------------------------------------------


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


def _identity(call: LibraryCall) -> Value | None:
    return (
        call.args[0]
        if call.args
        else Bound(External("identity", call.engine.lattice.none), (), {}, call.engine.lattice.none)
    )


def _copy(call: LibraryCall) -> Value:
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


# -- environment and output ------------------------------------------------------------------------------------------


def _environ(call: LibraryCall) -> Value:
    """``os.environ.get`` and ``os.getenv``: the launch decides, then the log, then the default."""
    engine = call.engine
    position = 1 if isinstance(call.owner, External) else 0
    name = call.constant(position)
    if isinstance(name, str):
        text = engine.environment.get(name)
        if text is None:
            text = engine.logged.get(name.lower())
            text = {"True": "1", "False": "0", "None": None}.get(text, text) if text is not None else None
        if text is not None:
            return engine.const(text)
        default = call.arg(position + 1, "default")
        return default if default is not None else engine.const(None) if call.name == "get" else engine.top()
    return engine.top()


def _print(call: LibraryCall) -> Value:
    call.engine.report(call.values())
    return call.engine.nothing


def _hand_over(call: LibraryCall) -> Value | None:
    """``queue.put(message)``: a thread that writes the log prints it."""
    call.engine.report(call.values())
    return None


def _exit(call: LibraryCall) -> Value:
    return External("never", call.engine.lattice.none)


# -- files -----------------------------------------------------------------------------------------------------------


def path_text(call: LibraryCall, value: Value | None) -> str | None:
    """The text of a path, with NUL for its unknown parts."""
    if isinstance(value, Instance):
        value = value.attrs.get("path")
    if isinstance(value, Seq | Union | Tuple):
        value = call.engine.elements(value)
    if isinstance(value, Const) and not isinstance(value.value, str):
        return None
    return call.engine.text_of(value) if isinstance(value, Const | Top) else None


def _join_path(call: LibraryCall) -> Value:
    parts = [call.engine.text_of(a) if isinstance(a, Const | Top) else None for a in call.args]
    text = "/".join(p if p is not None else "\0" for p in parts)
    prov = call.prov()
    return Const(text, prov) if all(isinstance(a, Const) for a in call.args) else Top(prov, None, text)


def _glob(call: LibraryCall) -> Value:
    engine = call.engine
    texts = [engine.text_of(a) for a in call.args if isinstance(a, Const | Top)]
    text = "/".join(t if t is not None else "\0" for t in texts)
    return Seq(None, Top(engine.lattice.none, None, text), engine.lattice.none)


def _open(call: LibraryCall) -> Value:
    engine = call.engine
    handle = Instance(External("file", engine.lattice.none), engine.lattice.none)
    handle.attrs["path"] = call.args[0]
    text = path_text(call, call.args[0])
    content = engine.files.get(text) if text is not None else None
    if content is not None:
        handle.attrs["content"] = content
    return handle


def tokens_of(call: LibraryCall, text: str | None) -> Value | None:
    """What a data file holds: the validation stream, training data, or a byte sidecar; None for anything else."""
    engine = call.engine
    if text is None:
        return None
    name = text.rpartition("/")[2] or text
    stripped = name if name.strip("\0*.") else text
    lattice = engine.lattice
    validation = _VAL_PATH.search(stripped)
    every = _EVERY_SHARD.match(stripped) and not _TRAIN_PATH.search(stripped) and text not in engine.sorted_names
    if validation or every:
        if _BYTE_PATH.search(stripped):
            return Array(lattice.make(P.BYTES), None, 1)
        region = Region(NO_DEPS, None, None, None, lattice.site)
        token = Token(ZERO, False, lattice.site)
        return Array(lattice.make(P.VAL | P.STREAM, regions=[region], tokens=[token]), None, 1)
    if _TRAIN_PATH.search(stripped):
        engine.effects += 1
        return Array(lattice.make(P.TRAIN, facts=[engine.from_training("read")]), None, 1)
    return None


def _read_array(call: LibraryCall) -> Value | None:
    """``np.fromfile``, ``np.memmap``, ``np.load``, ``torch.load``."""
    engine = call.engine
    source = call.arg(0, "file", "filename", "f")
    count = call.constant(2, "count")
    if isinstance(count, int) and 0 < count <= 1024:
        return Top(engine.lattice.none)
    text = path_text(call, source)
    stored = engine.files.get(text) if text is not None else None
    if stored is None and isinstance(source, Instance):
        stored = source.attrs.get("content")
    if stored is not None:
        return duplicate(call, stored, {})
    found = tokens_of(call, text)
    if found is not None:
        return found
    if call.name == "load" and text is not None:
        return Top(engine.lattice.make(P.ARTIFACT), None)
    return None


def _save(call: LibraryCall) -> Value:
    """``torch.save``, ``np.save``, ``pickle.dump``."""
    engine = call.engine
    if len(call.args) < 2:
        return engine.nothing
    value, target = call.args[0], call.args[1]
    if call.name in {"savez", "savez_compressed"} or call.dotted.startswith("numpy"):
        value, target = target, value
    _store_file(call, target, value)
    return engine.nothing


def _store_file(call: LibraryCall, target: Value, value: Value) -> None:
    """Weights that are written to a file are an artifact: what is in it, training data included, is paid for."""
    engine = call.engine
    flags = engine.deep(value).flags
    if flags & P.WEIGHTS and not flags & P.NLL:
        engine.effects += 1
        engine.phase += 1
        kept = duplicate(call, value, {}, engine.lattice.archived)
    else:
        kept = duplicate(call, value, {})
    text = path_text(call, target)
    if text is not None:
        engine.files[text] = kept
    if isinstance(target, Instance):
        engine.heap.touch(target)
        target.attrs["content"] = kept


def _write(call: LibraryCall) -> Value:
    engine = call.engine
    engine.report(call.args[1:])
    if call.owner is not None and len(call.args) > 1:
        _store_file(call, call.owner, call.args[1])
    return engine.nothing


def _read(call: LibraryCall) -> Value | None:
    engine = call.engine
    owner = call.owner
    content = owner.attrs.get("content") if isinstance(owner, Instance) else None
    if content is not None:
        return engine.outside(content) if call.name != "getvalue" else content
    text = path_text(call, owner)
    found = engine.files.get(text) if text is not None else None
    if found is not None:
        return engine.outside(found) if isinstance(found, Top | Const) else found
    tokens = tokens_of(call, text)
    return tokens if tokens is not None else engine.outside()


def _bytes_io(call: LibraryCall) -> Value:
    handle = Instance(External("file", call.engine.lattice.none), call.engine.lattice.none)
    if call.args:
        handle.attrs["content"] = call.args[0]
    return handle


def _outside(call: LibraryCall) -> Value:
    return call.engine.outside(*call.args)


def _clock(call: LibraryCall) -> Value:
    return call.engine.outside()


def _sentencepiece(call: LibraryCall) -> Value:
    return Top(call.engine.lattice.make(P.BYTES))


# -- container methods -----------------------------------------------------------------------------------------------


def _append(call: LibraryCall) -> Value | None:
    owner = call.owner
    if not isinstance(owner, Seq):
        return None
    value = call.args[2] if call.name == "insert" and len(call.args) > 2 else call.args[-1]
    call.engine.append(owner, value)
    return call.engine.nothing


def extend(call: LibraryCall) -> Value | None:
    """``list.extend`` and ``set.update``."""
    owner = call.owner
    if isinstance(owner, Dict):
        call.engine.update_dict(owner, call.args[1] if len(call.args) > 1 else Dict(dict(call.keywords), owner.prov))
        return call.engine.nothing
    if not isinstance(owner, Seq):
        return None
    call.engine.extend(owner, call.args[1])
    return call.engine.nothing


def _pop(call: LibraryCall) -> Value | None:
    engine, owner = call.engine, call.owner
    if isinstance(owner, Seq):
        engine.heap.touch(owner)
        if owner.items and len(call.args) == 1 and call.name == "pop" and not engine.loops:
            return owner.items.pop()
        element = engine.elements(owner)
        return engine.depending(element, engine.lattice.make(deps=engine.impure_deps(owner.birth)))
    if isinstance(owner, Dict):
        return engine.load_item(owner, call.args[1] if len(call.args) > 1 else engine.top())
    return None


def _get(call: LibraryCall) -> Value | None:
    if not isinstance(call.owner, Dict):
        return None
    engine = call.engine
    index = call.args[1]
    owner = call.owner
    default = call.args[2] if len(call.args) > 2 else engine.nothing
    if isinstance(index, Const) and owner.key is None and index.value not in owner.known and owner.factory is None:
        if call.name == "setdefault":
            engine.store_item(owner, index, default)
        return default
    found = engine.load_item(owner, index) if owner.known or owner.element is not None else default
    if call.name == "setdefault" and not (isinstance(index, Const) and index.value in owner.known):
        engine.store_item(owner, index, default)
        found = engine.load_item(owner, index)
    return engine.join(found, default) if not (isinstance(index, Const) and index.value in owner.known) else found


def _items(call: LibraryCall) -> Value | None:
    engine, owner = call.engine, call.owner
    if not isinstance(owner, Dict):
        return None
    none = engine.lattice.none
    if owner.key is None and owner.element is None:
        pairs = list(owner.known.items())
        made: list[Value] = [
            engine.const(k)
            if call.name == "keys"
            else v
            if call.name == "values"
            else Tuple((engine.const(k), v), none)
            for k, v in pairs
        ]
        if len(made) <= 24:
            return Seq(made, None, none)
        return Seq(None, engine.join_all(made), none)
    key = engine.elements(owner)
    value = engine.join_all([*owner.known.values(), *([owner.element] if owner.element is not None else [])])
    element = key if call.name == "keys" else value if call.name == "values" else Tuple((key, value), none)
    return Seq(None, element, owner.prov)


def _clear(call: LibraryCall) -> Value | None:
    owner = call.owner
    if isinstance(owner, Seq):
        call.engine.heap.touch(owner)
        owner.items, owner.element = [], None
    elif isinstance(owner, Dict):
        call.engine.heap.touch(owner)
        owner.known, owner.key, owner.element = {}, None, None
    return call.engine.nothing


def _sort(call: LibraryCall) -> Value:
    return call.engine.nothing


def _text_method(call: LibraryCall) -> Value | None:
    """Text methods on constants."""
    owner = call.owner
    if not isinstance(owner, Const) or not isinstance(owner.value, str | bytes) or call.keywords:
        text = call.engine.text_of(owner) if isinstance(owner, Top) else None
        if isinstance(owner, Top) and call.name in {"glob", "rglob"}:
            return _glob(call)
        if call.name == "join" and len(call.args) > 1:
            return Top(call.engine.prov_of([*call.args, call.engine.elements(call.args[1])]))
        if call.name in {"resolve", "expanduser", "absolute", "strip", "as_posix"}:
            return owner
        if call.name in {"startswith", "endswith"}:
            if text is not None:
                call.engine.sorted_names.add(text)
            return Top(owner.prov if owner is not None else call.engine.lattice.none)
        return None
    if call.name in {"glob", "rglob"}:
        return _glob(call)
    if call.name in {"resolve", "expanduser", "absolute", "as_posix"}:
        return owner
    if call.name == "join" and len(call.args) > 1:
        return Top(call.engine.prov_of([call.engine.elements(call.args[1])]))
    values = [a.value if isinstance(a, Const) else None for a in call.args[1:]]
    if any(v is None for v in values):
        if call.name == "format":
            return Top(call.prov(), None, str(owner.value))
        return None
    try:
        result = getattr(owner.value, call.name)(*values)
    except Exception:  # noqa: BLE001 - whatever a folded call raises, its value is unknown
        return None
    if isinstance(result, list):
        return Seq([call.engine.const(r) for r in result], None, owner.prov)
    return Const(result, owner.prov) if isinstance(result, str | bytes | bool | int) else None


TEXT = {
    "split", "strip", "lower", "upper", "startswith", "endswith", "replace", "join", "format", "encode", "decode",
    "rstrip", "lstrip", "isdigit", "glob", "rglob", "resolve", "expanduser", "absolute", "as_posix", "removeprefix",
    "removesuffix", "rpartition", "partition", "splitlines", "title", "find", "count",
}  # fmt: skip
METHODS: dict[str, Model] = dict.fromkeys(("put", "put_nowait"), _hand_over)
CONTAINER_METHODS: dict[str, Model] = {
    "append": _append, "add": _append, "insert": _append, "appendleft": _append, "put": _append,
    "register_module": _append,
    "extend": extend, "update": extend, "pop": _pop, "popleft": _pop, "get": _get, "setdefault": _get,
    "items": _items, "keys": _items, "values": _items, "clear": _clear, "sort": _sort, "reverse": _sort,
    "copy": _copy, **dict.fromkeys(TEXT, _text_method),
}  # fmt: skip


def _namespace(call: LibraryCall) -> Value:
    instance = Instance(External("types.SimpleNamespace", call.engine.lattice.none), call.engine.lattice.none)
    instance.attrs = dict(call.keywords)
    return instance


FUNCTIONS: dict[str, Model] = {
    **{f"builtins.{n}": _number for n in ("int", "float", "str", "bool")},
    **{f"builtins.{n}": _extremum for n in ("min", "max")},
    **{f"builtins.{n}": _sequence for n in ("list", "set", "tuple", "frozenset", "sorted", "reversed", "iter")},
    "deque": _sequence, "builtins.len": _len, "builtins.hash": _hash, "builtins.range": _range,
    "DataLoader": _loader, "builtins.enumerate": _enumerate, "builtins.zip": _zip, "builtins.map": _map, "map": _map,
    "builtins.filter": _filter, "builtins.next": _next, "builtins.dict": _dict, "OrderedDict": _dict,
    "defaultdict": _dict, "Counter": _dict, "SimpleNamespace": _namespace,
    "Namespace": _namespace,
    "builtins.getattr": _getattr, "builtins.setattr": _setattr, "builtins.hasattr": _hasattr,
    "builtins.isinstance": _isinstance, "builtins.super": _super, "builtins.abs": _folded, "builtins.round": _folded,
    "builtins.print": _print, "builtins.open": _open, "builtins.exit": _exit,
    "sys.exit": _exit, "os._exit": _exit,
    "math.log": _folded, "math.sqrt": _folded, "math.ceil": _folded, "math.floor": _folded, "math.exp": _folded,
    "partial": _partial, "deepcopy": _copy, "copy.copy": _copy,
    "os.environ.get": _environ, "os.getenv": _environ, "os.environ.setdefault": _environ, "identity": _identity,
    "os.path.join": _join_path, "Path": _join_path, "glob.glob": _glob, "glob": _glob, "iglob": _glob,
    "os.path.realpath": _identity, "os.path.abspath": _identity, "os.path.expanduser": _identity,
    "os.fspath": _identity, "iter": _sequence,
    "numpy.fromfile": _read_array, "numpy.memmap": _read_array, "numpy.load": _read_array, "torch.load": _read_array,
    "torch.save": _save, "numpy.save": _save, "pickle.dump": _save, "json.dump": _print,
    "json.dumps": lambda c: None, "BytesIO": _bytes_io, "getvalue": _read, "read": _read, "read_bytes": _read,
    "write": _write, "write_text": _write, "write_bytes": _write, "wandb.log": _print,
    **dict.fromkeys(("info", "warning", "error", "debug", "critical"), _print),
    "perf_counter": _clock, "time.time": _clock, "monotonic": _clock, "SentencePieceProcessor": _sentencepiece,
    "torch.compile": _identity, "torch.jit.script": _identity, "DistributedDataParallel": _identity, "DDP": _identity,
    "wraps": lambda c: External("identity", c.engine.lattice.none), "no_type_check": _identity,
    "is_initialized": lambda c: c.engine.const(True), "is_available": lambda c: c.engine.const(True),
}  # fmt: skip


__all__ = ["CONTAINER_METHODS", "FUNCTIONS", "TEXT", "Method", "Obj", "duplicate"]
