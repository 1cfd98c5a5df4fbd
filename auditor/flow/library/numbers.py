"""Python's numbers: constants fold."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import scaling
from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.library.default import default
from auditor.flow.values import Array, Const, Instance, Top, Value


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
        value = default(call)
        return engine.with_prov(value, scaling.bent(engine.lattice, value.prov, args))
    prov = scaling.bent(engine.lattice, call.prov(), args)
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
    return Top(counted, engine.numbers.of(("len", value)))


def _hash(call: LibraryCall) -> Value:
    return Top(call.engine.lattice.flagged(call.prov(), P.HASHED))


FUNCTIONS: dict[str, Model] = {
    **{f"builtins.{name}": _number for name in ("int", "float", "str", "bool")},
    **{f"builtins.{name}": _extremum for name in ("min", "max")}, "builtins.len": _len, "builtins.hash": _hash,
    **dict.fromkeys(("builtins.abs", "builtins.round", "math.log", "math.sqrt", "math.ceil", "math.floor", "math.exp"),
                    _folded),
}  # fmt: skip
