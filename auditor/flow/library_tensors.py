"""Models of numpy and torch functions and methods."""

from __future__ import annotations

import math

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.library_call import LibraryCall, Model, arrays_in
from auditor.flow.provenance import Fact, Provenance
from auditor.flow.values import Array, Const, Dict, External, Instance, Method, Seq, Top, Tuple, Union, Value

_VIEWS = {
    "view", "reshape", "transpose", "permute", "flatten", "squeeze", "unsqueeze", "expand", "ravel", "contiguous",
    "detach", "t", "numpy", "view_as", "expand_as", "swapaxes", "movedim", "unflatten", "from_numpy", "asarray",
    "ascontiguousarray", "as_tensor", "pin_memory", "chunk", "split", "unbind",
}  # fmt: skip
_COPIES = {"to", "cpu", "cuda", "float", "double", "half", "bfloat16", "long", "int", "astype", "clone", "copy", "type"}
_POINTERS = {"data_ptr", "data_as", "byref", "c_void_p", "ctypes", "POINTER", "cast"}
_SIZES = {"size", "numel", "dim", "nelement", "element_size", "tell", "stride", "storage_offset"}
_SILENT = {"randint", "rand", "randn", "randperm", "manual_seed", "normal", "empty_cache", "synchronize", "random"}


def default(call: LibraryCall) -> Value:
    """A value computed from all arguments; a trailing underscore means in place."""
    engine = call.engine
    prov = call.prov()
    for value in call.values():
        if isinstance(value, Method) and not isinstance(value.owner, Array):
            continue
    if call.name.endswith("_") and not call.name.endswith("__") and isinstance(call.owner, Array | Union):
        return _in_place(call)
    out = call.keywords.get("out")
    if isinstance(out, Array):
        engine.write(out, prov)
        return out
    prov = _computed(call, prov)
    owner = call.owner if isinstance(call.owner, Array) else None
    first = next((a for a in call.args if isinstance(a, Array)), None)
    if first is None and not any(arrays_in(a) for a in call.args):
        affine = engine.affine(call.args[0]) if len(call.args) == 1 and call.name in {"int64", "int32"} else None
        if prov is engine.lattice.none and call.dotted.startswith(("torch.", "numpy.")):
            return Array(prov)
        if engine.loops and _foreign(call):
            return engine.outside(Top(prov))
        return Top(prov, affine)
    result = Array(prov, None, first.ndim if first is not None else None)
    source = owner or first
    if source is not None:
        result.span = source.span
        result.rows = source.rows
    return result


def _foreign(call: LibraryCall) -> bool:
    """Whether a call may ask the outside world: a queue, a store, a counter."""
    if call.owner is None:
        return not call.dotted.startswith(("torch.", "numpy.", "math.", "builtins.", "layer"))
    return isinstance(call.owner, Instance) and isinstance(call.owner.cls, External)


def _computed(call: LibraryCall, prov: Provenance) -> Provenance:
    """Positions and reads end where arithmetic on reals begins."""
    if call.name in {"exp", "exp2", "logaddexp"} and prov.flags & P.SPREAD:
        site = call.engine.lattice.site
        steps = ((site, "a token's log-probability, spread evenly over its bytes, is used as a byte's probability"),)
        prov = call.engine.lattice.change(prov, facts=prov.facts | {Fact("byte-spread", site, steps)})
    return prov


_OPERATORS = {
    "bitwise_xor": "^", "remainder": "%", "mod": "%", "fmod": "%", "bitwise_and": "&", "multiply": "*", "mul": "*",
    "add": "+", "subtract": "-", "sub": "-", "divide": "/", "div": "/", "true_divide": "/", "floor_divide": "//",
}  # fmt: skip


def _in_place(call: LibraryCall) -> Value:
    engine = call.engine
    owner = call.owner
    assert owner is not None  # noqa: S101 - the caller has looked
    replace = call.name in {"zero_", "copy_", "fill_", "normal_", "uniform_", "set_", "trunc_normal_"}
    if call.name == "requires_grad_":
        flag = call.constant(1, "requires_grad")
        for array in arrays_in(owner):
            if flag is not False and not array.role:
                engine.heap.touch(array)
                array.role = "leaf"
        return owner
    prov = engine.prov_of(call.args[1:] + list(call.keywords.values()))
    key = None
    if call.name in {"index_add_", "scatter_add_", "scatter_", "index_put_", "put_", "index_copy_"}:
        position = 1 if call.name in {"index_put_", "put_"} else 2
        key = call.arg(position, "index", "indices")
    if key is not None:
        learned = engine.learned(key, "table")
        if learned is not None:
            prov = engine.lattice.union(engine.without_tokens(engine.prov_of(call.args[3:])), learned)
        prov = engine.lattice.merge(prov, engine.keyed_by_training(key))
    several = isinstance(owner, Union)
    operator = _OPERATORS.get(call.name.removesuffix("_"))
    if operator is not None and len(call.args) == 2 and operator not in "+-":
        for array in arrays_in(owner):
            engine.write(array, engine.prov_of([engine.binary(operator, array, call.args[1])]))
        return owner
    for array in arrays_in(owner):
        engine.write(array, prov, replace=replace and (not several or call.name in {"copy_", "zero_"}))
    return owner


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
        elif call.name in {"squeeze", "expand"}:
            ndim = None
        prov = value.prov
        if ndim == value.ndim or not prov.flags & P.STREAM:
            pass
        view = Array(prov, value.start, ndim, value, value.role, value.rows)
        view.span = value.span
        if call.name in {"chunk", "split", "unbind"}:
            return Seq(None, view, engine.lattice.none)
        return view
    if isinstance(value, Seq | Tuple) and call.name in {"asarray", "as_tensor", "ascontiguousarray"}:
        return _from_data(call)
    return None


def _copied(call: LibraryCall) -> Value | None:
    value = call.args[0] if call.args else None
    if isinstance(value, Instance):
        return value if call.name in {"to", "cpu", "cuda", "float", "double", "half", "bfloat16", "type"} else None
    if isinstance(value, Array):
        result = Array(value.prov, value.start, value.ndim, None, "", value.rows)
        result.span = value.span
        return result
    if isinstance(value, Union):
        return Array(call.engine.deep(value))
    return value if isinstance(value, Top | Const) else None


def _from_data(call: LibraryCall) -> Value | None:
    """``torch.tensor(list)``, ``np.array(list)``."""
    engine = call.engine
    value = call.arg(0, "data")
    if value is None:
        return None
    prov = engine.deep(value)
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
    return made


def _buffer(call: LibraryCall) -> Value:
    """``bytearray(n)`` and ``bytearray(data)``: bytes that are written in place, as byte shuffles do."""
    engine = call.engine
    prov = engine.deep(call.args[0]) if call.args else engine.lattice.none
    return Array(prov, None, 1)


def _arange(call: LibraryCall) -> Value:
    engine = call.engine
    start = call.args[0] if len(call.args) > 1 else engine.const(0)
    prov = call.prov()
    result = Array(prov, engine.affine(start), 1)
    stop = call.args[-1] if len(call.args) <= 2 else call.args[1]
    if len(call.args) == 1 and not (isinstance(stop, Const) and isinstance(stop.value, int) and stop.value < 256):
        result.prov = engine.lattice.flagged(prov, P.VOCABULARY)
    return result


def _cross_entropy(call: LibraryCall) -> Value | None:
    engine = call.engine
    logits, target = call.arg(0, "input", "logits"), call.arg(1, "target", "targets", "labels")
    if logits is None or target is None:
        return None
    prov = engine.lattice.union(engine.deep(logits), engine.deep(target))
    none = call.constant(99, "reduction") == "none"
    flags = (prov.flags | P.NLL | (0 if none else P.SUMMED)) & ~(P.PROBABILITY | P.LOG_PROBABILITY)
    return Array(engine.lattice.change(prov, flags=flags, tokens=(), reads=()))


def _gather(call: LibraryCall) -> Value | None:
    engine = call.engine
    source = call.args[0] if call.args else None
    index = call.arg(2, "index", "indices") if call.name != "take" else call.arg(1, "index", "indices")
    if call.name in {"take_along_axis", "index_select"}:
        index = call.arg(1 if call.name == "take_along_axis" else 2, "indices", "index")
    if source is None or index is None:
        return None
    if source.prov.flags & (P.PROBABILITY | P.LOG_PROBABILITY) or source.prov.flags & P.WEIGHTS:
        return gold(call, source, index)
    return engine.load_item(source, index)


def gold(call: LibraryCall, source: Value, index: Value) -> Value:
    """Gather from a full distribution at given tokens."""
    engine = call.engine
    prov = engine.lattice.union(engine.deep(source), engine.deep(index))
    flags = prov.flags
    if index.prov.flags & P.VAL:
        flags = (flags | P.NLL) & ~(P.PROBABILITY | P.LOG_PROBABILITY)
    result = Array(engine.lattice.change(prov, flags=flags, tokens=()))
    result.span = source.span if isinstance(source, Array) else None
    return result


def _softmax(call: LibraryCall) -> Value:
    engine = call.engine
    prov = call.prov()
    flag = P.LOG_PROBABILITY if "log" in call.name else P.PROBABILITY
    result = Array(engine.lattice.change(prov, flags=prov.flags | flag, tokens=(), reads=()))
    first = call.args[0] if call.args else None
    result.span = first.span if isinstance(first, Array) else None
    return result


def _exp(call: LibraryCall) -> Value | None:
    engine = call.engine
    first = call.args[0] if call.args else None
    if isinstance(first, Const) and isinstance(first.value, int | float):
        try:
            return Const(math.exp(first.value), first.prov)
        except OverflowError:
            return None
    value = default(call)
    if first is not None and first.prov.flags & P.LOG_PROBABILITY:
        return engine.with_prov(value, engine.lattice.flagged(value.prov, P.PROBABILITY, P.LOG_PROBABILITY))
    return value


def _log(call: LibraryCall) -> Value | None:
    engine = call.engine
    first = call.args[0] if call.args else None
    if isinstance(first, Const) and isinstance(first.value, int | float):
        try:
            function = {"log2": math.log2, "log10": math.log10}.get(call.name, math.log)
            return Const(function(first.value), first.prov)
        except ValueError:
            return None
    value = default(call)
    flags = value.prov.flags
    on = P.BITS if call.name == "log2" and flags & P.VAL else 0
    if flags & P.PROBABILITY and call.name in {"log", "log2"}:
        return engine.with_prov(value, engine.lattice.flagged(value.prov, P.LOG_PROBABILITY | on, P.PROBABILITY))
    return engine.with_prov(value, engine.lattice.flagged(value.prov, on))


def _sum(call: LibraryCall) -> Value:
    engine = call.engine
    prov = call.prov()
    axis = call.arg(1, "dim", "axis")
    flags = prov.flags
    both = P.PROBABILITY | P.LOG_PROBABILITY
    if flags & both == both and not flags & P.NLL:
        flags = (flags & ~both) | P.ENTROPY
    if axis is not None and (flags & P.VOCABULARY or any(read.vocabulary for read in prov.reads)):
        flags = (flags & ~P.VOCABULARY) | P.ROW_SUM
    first = call.args[0] if call.args else None
    span = first.span if isinstance(first, Array) else None
    if axis is None:
        flags |= P.SUMMED
    result = Array(engine.lattice.change(prov, flags=flags, tokens=()))
    result.span = span if axis is not None else None
    if axis is None and not isinstance(first, Array):
        return Top(result.prov)
    return result


def _logsumexp(call: LibraryCall) -> Value:
    engine = call.engine
    prov = call.prov()
    if prov.flags & P.ENTROPY and prov.flags & P.NLL:
        site = engine.lattice.site
        steps = ((site, "an entropy is mixed with negative log-likelihoods as if it were one"),)
        prov = engine.lattice.change(prov, facts=prov.facts | {Fact("pseudo-expert", site, steps)})
    return Array(engine.lattice.change(prov, tokens=(), reads=()))


def _where(call: LibraryCall) -> Value | None:
    engine = call.engine
    if len(call.args) < 3:
        return None
    condition, a, b = call.args[:3]
    result = default(call)
    gold_parts = a.prov.flags & b.prov.flags & P.NLL and not (a.prov.flags | b.prov.flags) & P.SUMMED
    if condition.prov.flags & P.GOLD_COMPARED and gold_parts:
        return engine.add_facts(result, [_oracle(engine.lattice.site)])
    return result


def _minimum(call: LibraryCall) -> Value | None:
    engine = call.engine
    parts = [a for a in call.args if isinstance(a, Array | Top)]
    if len(parts) >= 2 and all(p.prov.flags & P.NLL and not p.prov.flags & P.SUMMED for p in parts[:2]):
        return engine.add_facts(default(call), [_oracle(engine.lattice.site)])
    return None


def _clip(call: LibraryCall) -> Value | None:
    """Positions kept inside bounds: the same positions for the same bounds."""
    engine = call.engine
    value = call.args[0] if call.args else None
    if not isinstance(value, Array) or value.start is None:
        return None
    bounds = [call.arg(1, "min", "a_min"), call.arg(2, "max", "a_max")]
    result = default(call)
    if isinstance(result, Array):
        result.start = engine.numbers.of(("clip", value.start, *[engine.affine(bound) for bound in bounds]))
    return result


def _oracle(site: P.Site) -> Fact:
    return Fact("oracle", site, ((site, "the better of two scores of a token is kept"),))


def _size(call: LibraryCall) -> Value:
    engine = call.engine
    value = call.args[0] if call.args else engine.nothing
    engine.keep(value)
    axis = call.constant(1, "dim")
    return Top(engine.lattice.none, engine.numbers.of((call.name, axis if isinstance(axis, int) else None, id(value))))


def _positions(call: LibraryCall) -> Value | None:
    """``nonzero`` and the like: positions of documents, not their content."""
    if call.name == "where" and len(call.args) > 1:
        return _where(call)
    result = Array(call.engine.positional(call.prov()), None, 1)
    return Tuple((result,), result.prov) if call.name == "where" else result


def _silent(call: LibraryCall) -> Value:
    if call.owner is not None and isinstance(call.owner, Array):
        return default(call)
    return Array(call.engine.lattice.none)


def _hash(call: LibraryCall) -> Value:
    """xor, modulus and masks as functions."""
    if len(call.args) < 2:
        return default(call)
    return call.engine.binary(_OPERATORS[call.name], call.args[0], call.args[1])


def _add_at(call: LibraryCall) -> Value:
    """``np.add.at(table, keys, values)``."""
    if len(call.args) >= 2:
        value = call.args[2] if len(call.args) > 2 else call.engine.top()
        call.engine.store_item(call.args[0], call.args[1], value, accumulate=True)
    return call.engine.nothing


def _bincount(call: LibraryCall) -> Value:
    engine = call.engine
    learned = engine.learned(call.args[0], "table") if call.args else None
    return Array(learned or call.prov(), None, 1)


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
    items = engine.known_items(value)
    start = element.start if isinstance(element, Array) and (items is None or len(items) == 1) else None
    result = Array(prov, start, ndim)
    if isinstance(element, Array):
        result.span = element.span
    return result


def _item(call: LibraryCall) -> Value:
    value = call.args[0]
    return Top(call.engine.deep(value), call.engine.affine(value))


def _tolist(call: LibraryCall) -> Value:
    engine = call.engine
    return Seq(None, engine.elements(call.args[0]), engine.lattice.none)


def _gathered_objects(call: LibraryCall) -> Value:
    """``dist.all_gather_object(out, obj)``: every slot of ``out`` may hold ``obj``."""
    out = call.args[0] if call.args else None
    if len(call.args) > 1:
        engine = call.engine
        if isinstance(out, Seq):
            engine.summarise(out)
            engine.heap.touch(out)
            out.element = call.args[1]
        elif isinstance(out, Array):
            engine.write(out, engine.deep(call.args[1]))
    return call.engine.nothing


def _gathered_at_root(call: LibraryCall) -> Value:
    """``dist.gather(obj, out, dst)``."""
    if len(call.args) > 1 and isinstance(call.args[1], Seq):
        call.args[:2] = [call.args[1], call.args[0]]
        return _gathered_objects(call)
    return call.engine.nothing


def _nothing(call: LibraryCall) -> Value:
    return call.engine.nothing


def _pointer(call: LibraryCall) -> Value | None:
    return call.args[0] if call.args else None


def _cast(call: LibraryCall) -> Value | None:
    value = call.args[0] if call.args else None
    if isinstance(value, Const | Top):
        return value
    return _copied(call)


FUNCTIONS: dict[str, Model] = {
    **dict.fromkeys(("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like", "full_like",
                     "new_zeros", "new_ones", "new_empty", "new_full", "randn_like", "rand_like"), _created),
    "builtins.bytearray": _buffer,
    **dict.fromkeys(("tensor", "array"), _from_data), "arange": _arange,
    "cross_entropy": _cross_entropy, "nll_loss": _cross_entropy, "linear_cross_entropy": _cross_entropy,
    **dict.fromkeys(("gather", "take_along_axis", "take_along_dim", "index_select", "take"), _gather),
    **dict.fromkeys(("softmax", "log_softmax"), _softmax), "exp": _exp,
    **dict.fromkeys(("log", "log2", "log10"), _log), **dict.fromkeys(("sum", "nansum", "mean"), _sum),
    "logsumexp": _logsumexp, "logaddexp": default, "where": _positions,
    **dict.fromkeys(("nonzero", "argwhere", "flatnonzero", "searchsorted"), _positions),
    **dict.fromkeys(("minimum", "fmin", "maximum", "fmax"), _minimum),
    **dict.fromkeys(("clip", "clamp"), _clip),
    **dict.fromkeys(("bitwise_xor", "remainder", "mod", "fmod", "bitwise_and", "multiply", "mul", "add", "subtract",
                     "sub", "divide", "div", "true_divide", "floor_divide"), _hash),
    "numpy.add.at": _add_at, "add.at": _add_at, "numpy.maximum.at": _add_at, "bincount": _bincount,
    **dict.fromkeys(("cat", "concatenate", "stack", "concat", "hstack", "vstack", "column_stack"), _cat),
    **dict.fromkeys(sorted(_SILENT), _silent), "all_gather_object": _gathered_objects,
    "all_gather_into_tensor": _gathered_objects, "torch.distributed.gather": _gathered_at_root,
    "torch.distributed.gather_object": _gathered_at_root, "all_gather": _gathered_objects,
    **dict.fromkeys(("all_reduce", "barrier", "broadcast", "broadcast_object_list", "_dynamo"), _nothing),
    **dict.fromkeys(("from_numpy", "asarray", "as_tensor", "ascontiguousarray", "reshape", "squeeze", "ravel",
                     "flatten", "unsqueeze", "transpose", "permute", "detach"), _view),
    **dict.fromkeys(("int64", "uint64", "int32", "float32", "float64", "uint32", "uint16"), _cast),
}  # fmt: skip
METHODS: dict[str, Model] = {
    **dict.fromkeys(sorted(_VIEWS), _view), **dict.fromkeys(sorted(_COPIES), _copied),
    **dict.fromkeys(sorted(_SIZES), _size), **dict.fromkeys(sorted(_POINTERS), _pointer), "item": _item,
    "tolist": _tolist,
}  # fmt: skip


__all__ = ["FUNCTIONS", "METHODS", "Dict", "default", "gold"]
