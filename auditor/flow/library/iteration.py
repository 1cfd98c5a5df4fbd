"""Python's iterables."""

from __future__ import annotations

from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.values import Const, Instance, Seq, Top, Tuple, Value


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
    index = Top(none, engine.numbers.of(("enumerate", value)))
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


FUNCTIONS: dict[str, Model] = {
    **{f"builtins.{n}": _sequence for n in ("list", "set", "tuple", "frozenset", "sorted", "reversed", "iter")},
    "deque": _sequence, "iter": _sequence, "builtins.range": _range, "DataLoader": _loader,
    "builtins.enumerate": _enumerate, "builtins.zip": _zip, "builtins.map": _map, "map": _map,
    "builtins.filter": _filter, "builtins.next": _next,
}  # fmt: skip
