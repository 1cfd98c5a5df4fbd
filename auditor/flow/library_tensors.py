"""Models of numpy and torch functions and methods."""

from __future__ import annotations

import math

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import uses
from auditor.flow.affine import Affine
from auditor.flow.expressions import is_large
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
_REAL = {
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "logaddexp2", "logsumexp", "sigmoid", "tanh",
    "pow", "power", "float_power", "softplus", "logsigmoid",
}  # fmt: skip
"""Functions of real numbers: what goes through them is no longer a mask."""
_COLUMNS = 12
"""Widest windows whose columns are kept apart."""
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
    if call.name in _REAL:
        prov = uses.gated(call.engine.lattice, prov)
        if call.name == "exp" and prov.flags & P.LEARNED_BYTES and not prov.flags & P.NLL:
            prov = call.engine.lattice.flagged(prov, P.BYTE_PRODUCT, P.TABLE)
    elif call.name == "bool":
        prov = uses.gate(call.engine.lattice, prov)
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
        learned = engine.learned(key, "table", owner)
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
    few = isinstance(stop, Const) and isinstance(stop.value, int) and stop.value < 256
    # The vocabulary is as large in every iteration; what counts to the loop's own number is a context.
    if len(call.args) == 1 and not few and not (stop.prov.deps and not stop.prov.flags):
        result.prov = engine.lattice.flagged(prov, P.VOCABULARY)
    return result


def _cross_entropy(call: LibraryCall) -> Value | None:
    engine = call.engine
    logits, target = call.arg(0, "input", "logits"), call.arg(1, "target", "targets", "labels")
    if logits is None or target is None:
        return None
    index = engine.deep(target)
    prov = engine.lattice.union(uses.gated(engine.lattice, engine.deep(logits)), index)
    prov = engine.picked(prov, index)
    none = call.constant(99, "reduction") == "none"
    flags = (prov.flags | P.NLL | (0 if none else P.SUMMED)) & ~(P.PROBABILITY | P.LOG_PROBABILITY)
    result = Array(engine.lattice.change(prov, flags=flags, tokens=(), reads=()))
    return result if none else _reduced(call, result)


def _reduced(call: LibraryCall, value: Value) -> Value:
    """Scores summed over positions."""
    settled = call.engine.settled(value)
    return call.engine.with_prov(settled, call.engine.lattice.change(settled.prov, uses=()))


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
        prov = engine.picked(prov, engine.deep(index))
    result = Array(engine.lattice.change(prov, flags=flags, tokens=()))
    result.span = source.span if isinstance(source, Array) else None
    return result


def _softmax(call: LibraryCall) -> Value:
    engine = call.engine
    prov = call.prov()
    flag = P.LOG_PROBABILITY if "log" in call.name else P.PROBABILITY
    prov = uses.gated(engine.lattice, prov)
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
    if first is not None and first.prov.flags & P.ENTROPY and not first.prov.flags & P.NLL:
        return engine.with_prov(value, engine.lattice.flagged(value.prov, P.EXPERT))
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
    kept = prov.tokens if flags & P.HASHED and axis is not None else ()  # a hash adds up its terms
    result = Array(engine.lattice.change(prov, flags=flags, tokens=kept))
    result.span = span if axis is not None else None
    if axis is None:
        return _reduced(call, result if isinstance(first, Array) else Top(result.prov))
    return result


def _logsumexp(call: LibraryCall) -> Value:
    engine = call.engine
    prov = call.prov()
    if prov.flags & P.ENTROPY and prov.flags & P.NLL:
        prov = _mixed_in(call, prov)
    prov = uses.gated(engine.lattice, prov)
    return Array(engine.lattice.change(prov, tokens=(), reads=(), flags=prov.flags & ~P.ALTERNATIVES))


def _mixed_in(call: LibraryCall, prov: Provenance) -> Provenance:
    site = call.engine.lattice.site
    steps = ((site, "an entropy is mixed with negative log-likelihoods as if it were one"),)
    return call.engine.lattice.change(prov, facts=prov.facts | {Fact("pseudo-expert", site, steps)})


def _logaddexp(call: LibraryCall) -> Value:
    """Two log-probabilities are mixed."""
    engine = call.engine
    result = default(call)
    a, b = (call.args[0].prov, call.args[1].prov) if len(call.args) > 1 else (result.prov, result.prov)
    for score, other in ((a, b), (b, a)):
        if score.flags & P.NLL and not other.flags & (P.NLL | P.SUMMED):
            found = engine.foreign(score, other, P.ENTROPY | P.EXPERT, P.LEARNED_BYTES)
            if found is not None:
                return engine.add_facts(result, [found])
    return result


def _where(call: LibraryCall) -> Value | None:
    engine = call.engine
    if len(call.args) < 3:
        return None
    condition, a, b = call.args[:3]
    result = default(call)
    if a.prov.tokens and not b.prov.tokens:
        result = engine.with_prov(result, engine.masked(result.prov, a.prov))
    elif b.prov.tokens and not a.prov.tokens:
        result = engine.with_prov(result, engine.masked(result.prov, b.prov))
    return engine.chosen(condition, result, a, b)


def _minimum(call: LibraryCall) -> Value | None:
    engine = call.engine
    parts = [a for a in call.args if isinstance(a, Array | Top)]
    if len(parts) >= 2 and engine.oracle(parts[0].prov, parts[1].prov):
        return engine.better(default(call))
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


def _clamped(call: LibraryCall) -> Value | None:
    """``a.clamp(max=b)``, ``np.clip(a, None, b)``: a minimum where the bound is a score of the token itself."""
    engine = call.engine
    bounds = [*call.args[1:], *call.keywords.values()]
    if call.args and any(engine.oracle(call.args[0].prov, bound.prov) for bound in bounds):
        return engine.better(default(call))
    return _clip(call)


def _extreme(call: LibraryCall) -> Value | None:
    """``min``, ``max`` along an axis: of a distribution its confidence, of several scores of a token the best."""
    engine = call.engine
    if len(call.args) > 1 and isinstance(call.args[1], Array):
        return _minimum(call)
    if call.arg(1, "dim", "axis") is None:
        return None
    value = default(call)
    flags = value.prov.flags
    if flags & P.ALTERNATIVES:
        return engine.better(engine.with_prov(value, engine.lattice.flagged(value.prov, 0, P.ALTERNATIVES)))
    if flags & (P.PROBABILITY | P.LOG_PROBABILITY) and not flags & P.NLL:
        about = P.EXPERT if flags & P.PROBABILITY else P.ENTROPY
        prov = engine.lattice.flagged(value.prov, about, P.PROBABILITY | P.LOG_PROBABILITY)
        return engine.with_prov(value, prov)
    return value


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
    if call.name in {"stack", "vstack"} and _alternatives(items, element):
        result.prov = engine.lattice.flagged(prov, P.ALTERNATIVES)
    return result


def _alternatives(items: list[Value] | None, element: Value) -> bool:
    """Whether several scores are of the same tokens; scores of other tokens are only laid side by side."""
    if not element.prov.flags & P.NLL:
        return False
    if items is None:
        return len(uses.scored(element.prov)) == 1
    scores = [uses.scored(value.prov) for value in items]
    return len(items) > 1 and bool(scores[0]) and all(score == scores[0] for score in scores)


def _one_hot(call: LibraryCall) -> Value:
    """``F.one_hot(y)``: picks the tokens' entries out when it multiplies, and favours them when it is added."""
    value = default(call)
    return _of_tokens(call, value, call.args[0] if call.args else None, "one-hot")


def _embedded(call: LibraryCall) -> Value:
    """``F.embedding(x, weight)``."""
    value = default(call)
    prov = value.prov
    plain = call.engine.with_prov(value, call.engine.lattice.change(prov, tokens=(), reads=()))
    return _of_tokens(call, plain, call.args[0] if call.args else None, "felt")


def _of_tokens(call: LibraryCall, value: Value, tokens: Value | None, kind: str) -> Value:
    engine = call.engine
    at = engine.tokens_given(tokens) if tokens is not None else []
    return engine.with_prov(value, uses.used(engine.lattice, value.prov, kind, at))


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


def _total(call: LibraryCall) -> Value:
    """``sum(scores)``."""
    return call.engine.settled(default(call))


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
    "logsumexp": _logsumexp, "logaddexp": _logaddexp, "where": _positions, "builtins.sum": _total,
    "sliding_window_view": _windows, "one_hot": _one_hot, "torch.nn.functional.embedding": _embedded, "roll": _roll,
    **dict.fromkeys(("clamp", "clip", "clamp_max", "clamp_min"), _clamped),
    **dict.fromkeys(("amin", "amax", "torch.min", "torch.max", "numpy.min", "numpy.max", "nanmin", "nanmax"), _extreme),
    **dict.fromkeys(("nonzero", "argwhere", "flatnonzero", "searchsorted"), _positions),
    **dict.fromkeys(("minimum", "fmin", "maximum", "fmax"), _minimum),
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
    **dict.fromkeys(("min", "max"), _extreme), "unfold": _windows,
    "tolist": _tolist,
}  # fmt: skip


__all__ = ["FUNCTIONS", "METHODS", "Dict", "default", "gold"]
