"""Views, copies and rearrangements of arrays: the same numbers in another shape, place or order."""

from __future__ import annotations

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import scaling, uses
from auditor.flow.affine import Affine
from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.library.creation import from_data
from auditor.flow.library.default import default
from auditor.flow.provenance import Provenance
from auditor.flow.values import FLAT, Array, Const, Instance, Seq, Top, Tuple, Union, Value

_VIEWS = {
    "view", "reshape", "transpose", "permute", "flatten", "squeeze", "unsqueeze", "expand", "ravel", "contiguous",
    "detach", "t", "numpy", "view_as", "expand_as", "swapaxes", "movedim", "unflatten", "from_numpy", "asarray",
    "ascontiguousarray", "as_tensor", "pin_memory", "chunk", "split", "unbind",
}  # fmt: skip
_COPIES = {"to", "cpu", "cuda", "float", "double", "half", "bfloat16", "long", "int", "astype", "clone", "copy", "type"}
_POINTERS = {"data_ptr", "data_as", "byref", "c_void_p", "ctypes", "POINTER", "cast"}
_FLATTENING = {"view", "reshape", "flatten", "ravel", "squeeze"}
_SIZES = {"size", "numel", "dim", "nelement", "element_size", "tell", "stride", "storage_offset"}
_COLUMNS = 12
"""Widest windows whose columns are kept apart."""


def _view(call: LibraryCall) -> Value | None:
    value = call.args[0] if call.args else None
    engine = call.engine
    if isinstance(value, Union):
        return value
    if isinstance(value, Array):
        ndim = value.ndim
        if call.name in {"view", "reshape"}:
            shape = call.args[1:]
            ndim = len(shape[0].items) if len(shape) == 1 and isinstance(shape[0], Tuple) else len(shape)
        elif call.name in {"flatten", "ravel"}:
            ndim = 1
        elif call.name == "unsqueeze" and ndim is not None:
            ndim += 1
        elif call.name == "squeeze" and len(call.args) == 2 and ndim is not None and ndim > 1:
            ndim -= 1
        elif call.name in {"squeeze", "expand"}:
            ndim = None
        view = Array(value.prov, value.start, ndim, value, value.role, _batch(call, value))
        view.span, view.stop = value.span, value.stop
        alone = value.rows is False and value.ndim is not None and ndim == value.ndim - 1
        view.timed = alone and call.name in _FLATTENING and (call.name != "squeeze" or call.constant(1, "dim") == 0)
        if call.name in {"chunk", "split", "unbind"}:
            return Seq(None, view, engine.lattice.none)
        return view
    if isinstance(value, Seq | Tuple) and call.name in {"asarray", "as_tensor", "ascontiguousarray"}:
        return from_data(call)
    return None


def _batch(call: LibraryCall, value: Array) -> bool | None:
    """Whether the first axis of a view is a batch, as far as that is known."""
    if call.name == "unsqueeze" and call.constant(1, "dim") == 0:
        return False
    if call.name in {"view", "reshape"} and len(call.args) > 2 and call.constant(1) == 1:
        return False
    moved = call.name in _FLATTENING or call.name in {"expand", "transpose", "permute"}
    return value.rows or None if moved else value.rows


def _copied(call: LibraryCall) -> Value | None:
    value = call.args[0] if call.args else None
    if isinstance(value, Instance):
        return value if call.name in {"to", "cpu", "cuda", "float", "double", "half", "bfloat16", "type"} else None
    if isinstance(value, Array):
        result = Array(value.prov, value.start, value.ndim, None, "", value.rows)
        result.span, result.stop, result.timed = value.span, value.stop, value.timed
        return result
    if isinstance(value, Union):
        return Array(call.engine.deep(value))
    return value if isinstance(value, Top | Const) else None


def _cast(call: LibraryCall) -> Value | None:
    value = call.args[0] if call.args else None
    if isinstance(value, Const | Top):
        return value
    return _copied(call)


def _pointer(call: LibraryCall) -> Value | None:
    return call.args[0] if call.args else None


def _size(call: LibraryCall) -> Value:
    engine = call.engine
    value = call.args[0] if call.args else engine.nothing
    engine.keep(value)
    axis = call.constant(1, "dim")
    return Top(engine.lattice.none, engine.numbers.of((call.name, axis if isinstance(axis, int) else None, value)))


def _item(call: LibraryCall) -> Value:
    value = call.args[0]
    return Top(call.engine.deep(value), call.engine.affine(value))


def _tolist(call: LibraryCall) -> Value:
    engine = call.engine
    value = call.args[0]
    element = engine.elements(value)
    if isinstance(value, Array) and value.ndim == 1:
        scalar = Top(element.prov, value.start)
        return Seq(None, scalar, engine.lattice.none, FLAT)
    return Seq(None, element, engine.lattice.none)


def _cat(call: LibraryCall) -> Value | None:
    engine = call.engine
    value = call.arg(0, "tensors", "arrays")
    if value is None:
        return None
    element = engine.elements(value)
    prov = engine.deep(value)
    ndim = element.ndim if isinstance(element, Array) else None
    if call.name in {"stack", "vstack"}:
        ndim = ndim + 1 if ndim is not None else None
        prov = scaling.unscaled(engine.lattice, prov)  # the parts of a mixture, which are going to be added up
    items = engine.known_items(value)
    if items is not None and _moves(call, items, ndim):
        prov = _further(call, prov)
    start = element.start if isinstance(element, Array) and (items is None or len(items) == 1) else None
    result = Array(prov, start, ndim)
    if isinstance(element, Array):
        result.span = element.span
    if call.name in {"stack", "vstack"} and _alternatives(items, element):
        result.prov = engine.lattice.flagged(prov, P.ALTERNATIVES)
    return result


def _moves(call: LibraryCall, items: list[Value], ndim: int | None) -> bool:
    """Whether something of another origin is put before the tokens, as in ``cat((bos, x[:, :-1]), dim=1)``.

    Along the last axis computed features are laid side by side, and along the first one rows of a batch.
    """
    if call.name in {"stack", "vstack", "column_stack"} or len(items) < 2:
        return False
    first, *rest = [call.engine.deep(item) for item in items]
    if first.tokens or first.uses:
        return False
    axis = call.constant(1, "dim", "axis")
    if ndim in {None, 1} and axis in {None, 0} and all(prov.flags & P.NLL for prov in rest):
        return True
    if any(prov.tokens for prov in rest):
        return ndim == 1 if axis in {None, 0} else isinstance(axis, int)
    return isinstance(axis, int) and axis not in {0, -1} and any(prov.uses for prov in rest)


def _further(call: LibraryCall, prov: Provenance) -> Provenance:
    """The same content at later places, by a number that is not known: each place holds an earlier token's."""
    lattice = call.engine.lattice
    distance = call.engine.numbers.of(("further", lattice.site))
    tokens = [(token, token.position.plus(distance, -1)) for token in prov.tokens]
    used = [(use, use.position.plus(distance, -1)) for use in prov.uses]
    return lattice.change(
        prov,
        tokens=frozenset(token._replace(position=at) for token, at in tokens if at is not None),
        uses=frozenset(use._replace(position=at) for use, at in used if at is not None),
    )


def _alternatives(items: list[Value] | None, element: Value) -> bool:
    """Whether several scores are of the same tokens; scores of other tokens are only laid side by side."""
    if not element.prov.flags & P.NLL:
        return False
    if items is None:
        return len(uses.scored(element.prov)) == 1
    scores = [uses.scored(value.prov) for value in items]
    return len(items) > 1 and bool(scores[0]) and all(score == scores[0] for score in scores)


def _roll(call: LibraryCall) -> Value:
    """``torch.roll(x, -1)``: every position holds another one's token."""
    engine = call.engine
    value = call.args[0] if call.args else engine.nothing
    shift = call.constant(1, "shifts", "shift")
    prov = engine.deep(value)
    if not isinstance(value, Array) or not isinstance(shift, int):
        return default(call)
    tokens = frozenset(t._replace(position=_by(t.position, -shift)) for t in prov.tokens)
    prov = engine.lattice.change(prov, tokens=tokens, uses=uses.moved(prov.uses, lambda p: _by(p, -shift)))
    return Array(prov, _by(value.start, -shift) if value.start is not None else None, value.ndim)


def _by(position: Affine, distance: int) -> Affine:
    return Affine(position.const + distance, position.terms)


def _windows(call: LibraryCall) -> Value | None:
    """``stream.unfold(0, n, 1)``, ``sliding_window_view(stream, n)``: column ``k`` is the stream moved by ``k``."""
    engine = call.engine
    value = call.args[0] if call.args else engine.nothing
    size = call.constant(2 if call.name == "unfold" else 1, "size", "window_shape")
    if not isinstance(value, Array) or not isinstance(size, int) or not 0 < size <= _COLUMNS:
        return None
    step = call.constant(3, "step") if call.name == "unfold" else 1
    if step != 1 or not value.prov.tokens:
        return None
    tokens = frozenset(t._replace(position=_by(t.position, k)) for t in value.prov.tokens for k in range(size))
    result = Array(engine.lattice.change(value.prov, tokens=tokens), None, 2)
    result.columns = tuple(value.prov.tokens)
    return result


FUNCTIONS: dict[str, Model] = {
    **dict.fromkeys(("cat", "concatenate", "stack", "concat", "hstack", "vstack", "column_stack"), _cat),
    **dict.fromkeys(("from_numpy", "asarray", "as_tensor", "ascontiguousarray", "reshape", "squeeze", "ravel",
                     "flatten", "unsqueeze", "transpose", "permute", "detach"), _view),
    **dict.fromkeys(("int64", "uint64", "int32", "float32", "float64", "uint32", "uint16"), _cast),
    "sliding_window_view": _windows, "roll": _roll,
}  # fmt: skip
METHODS: dict[str, Model] = {
    **dict.fromkeys(sorted(_VIEWS), _view), **dict.fromkeys(sorted(_COPIES), _copied),
    **dict.fromkeys(sorted(_SIZES), _size), **dict.fromkeys(sorted(_POINTERS), _pointer), "item": _item,
    "unfold": _windows, "tolist": _tolist,
}  # fmt: skip
