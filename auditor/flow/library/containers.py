"""Methods of lists, dicts and their kin."""

from __future__ import annotations

from auditor.flow.arrays import is_activation
from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.library.objects import copied
from auditor.flow.values import Const, Dict, Seq, Top, Tuple, Value


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


def _append(call: LibraryCall) -> Value | None:
    owner = call.owner
    if not isinstance(owner, Seq):
        return None
    value = call.args[2] if call.name == "insert" and len(call.args) > 2 else call.args[-1]
    call.engine.append(owner, value)
    return call.engine.nothing


def _extend(call: LibraryCall) -> Value | None:
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
        if owner.birth > engine.frames[-1].scope.birth and engine.in_module() and is_activation(element.prov):
            return element  # what an earlier layer left for a later one
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


FUNCTIONS: dict[str, Model] = dict.fromkeys(("builtins.dict", "OrderedDict", "defaultdict", "Counter"), _dict)
METHODS: dict[str, Model] = {
    **dict.fromkeys(("append", "add", "insert", "appendleft", "put", "register_module"), _append),
    "extend": _extend, "update": _extend, "pop": _pop, "popleft": _pop, "get": _get, "setdefault": _get,
    "items": _items, "keys": _items, "values": _items, "clear": _clear, "sort": _sort, "reverse": _sort,
    "copy": copied,
}  # fmt: skip
"""Of containers alone: other values have other methods of these names."""
