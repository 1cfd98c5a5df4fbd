"""New arrays: from data, from nothing but a shape, from the numbers of positions."""

from __future__ import annotations

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.library.default import default
from auditor.flow.operators import is_large
from auditor.flow.values import Array, Const, External, Seq, Top, Tuple, Value

_SILENT = {"randint", "rand", "randn", "randperm", "manual_seed", "normal", "empty_cache", "synchronize", "random"}


def from_data(call: LibraryCall) -> Value | None:
    """``torch.tensor(list)``, ``np.array(list)``."""
    engine = call.engine
    value = call.arg(0, "data")
    if value is None:
        return None
    prov = engine.deep(value)
    if any(is_large(item) for item in engine.known_items(value) or []):
        prov = engine.lattice.flagged(prov, P.MULTIPLIER)
    start = None
    ndim: int | None = 1
    if isinstance(value, Array):
        start, ndim = value.start, value.ndim
    elif isinstance(value, Seq | Tuple):
        element = engine.elements(value)
        start = engine.affine(element) if isinstance(element, Top | Const) else None
        ndim = 1 if isinstance(element, Top | Const) else None
    elif isinstance(value, Const | Top):
        start, ndim = engine.affine(value), 0
    result = Array(prov, start, ndim)
    if engine.truth(call.keywords.get("requires_grad") or engine.const(False)):
        result.role = "leaf"
    return result


def _created(call: LibraryCall) -> Value:
    """``zeros`` and the like: nothing of the arguments but the shape."""
    engine = call.engine
    shape = [a for a in call.args if not (call.owner is not None and a is call.owner)]
    if "like" in call.name:
        source = call.args[0] if call.args else None
        made = Array(engine.lattice.none, None, source.ndim if isinstance(source, Array) else None)
        made.rows = source.rows if isinstance(source, Array) else None
    else:
        first = call.keywords.get("size") or (shape[0] if shape else None)
        axes = list(first.items) if isinstance(first, Tuple) else shape
        items = engine.known_items(first) if isinstance(first, Seq) else None
        axes = items if items is not None else axes
        if call.name == "full":
            axes = axes if isinstance(first, Tuple | Seq) else axes[:1]
        made = Array(engine.lattice.none, None, len(axes) if axes else None)
        if len(axes) > 1:
            made.rows = not (isinstance(axes[0], Const) and axes[0].value == 1)
    if engine.truth(call.keywords.get("requires_grad") or engine.const(False)):
        made.role = "leaf"
    kind = call.keywords.get("dtype")
    made.mask = isinstance(kind, External) and kind.name.rpartition(".")[2] in {"bool", "bool_"}
    return made


def _buffer(call: LibraryCall) -> Value:
    """``bytearray(n)`` and ``bytearray(data)``: bytes that are written in place, as byte shuffles do."""
    engine = call.engine
    prov = engine.deep(call.args[0]) if call.args else engine.lattice.none
    return Array(prov, None, 1)


def _arange(call: LibraryCall) -> Value:
    engine = call.engine
    end = call.keywords.get("end", call.keywords.get("stop"))
    bounds = [*call.args[:2], *([end] if end is not None else [])]
    first = call.keywords.get("start", engine.const(0))
    start, stop = (bounds[0], bounds[1]) if len(bounds) > 1 else (first, bounds[0] if bounds else engine.top())
    prov = call.prov()
    result = Array(prov, engine.affine(start), 1)
    result.stop = engine.affine(stop) if len(call.args) < 3 and "step" not in call.keywords else None
    few = isinstance(stop, Const) and isinstance(stop.value, int) and stop.value < 256
    # The vocabulary is as large in every iteration; what counts to the loop's own number is a context.
    whole = len(bounds) == 1 and "start" not in call.keywords
    if whole and not few and not (stop.prov.deps and not stop.prov.flags):
        result.prov = engine.lattice.flagged(prov, P.VOCABULARY)
    return result


def _silent(call: LibraryCall) -> Value:
    if call.owner is not None and isinstance(call.owner, Array):
        return default(call)
    return Array(call.engine.lattice.none)


FUNCTIONS: dict[str, Model] = {
    **dict.fromkeys(("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like",
                     "new_zeros", "new_ones", "new_empty", "new_full", "randn_like", "rand_like"), _created),
    "builtins.bytearray": _buffer, **dict.fromkeys(("tensor", "array"), from_data), "arange": _arange,
    **dict.fromkeys(sorted(_SILENT), _silent),
}  # fmt: skip
