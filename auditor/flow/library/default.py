"""The default model: a value computed from all arguments."""

from __future__ import annotations

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import scaling, uses
from auditor.flow.library.call import LibraryCall, arrays_in
from auditor.flow.provenance import Provenance
from auditor.flow.values import Array, Const, External, Instance, Top, Union, Value

_REAL = {
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "logaddexp2", "logsumexp", "sigmoid", "tanh",
    "pow", "power", "float_power", "softplus", "logsigmoid",
}  # fmt: skip
"""Functions of real numbers: what goes through them is no longer a mask."""
_CURVES = {"sigmoid", "tanh", "softplus"}
_LOGARITHMS = {"log", "log2", "log10"}
"""Of a probability, its score."""
OPERATORS = {
    "bitwise_xor": "^", "remainder": "%", "mod": "%", "fmod": "%", "bitwise_and": "&", "multiply": "*", "mul": "*",
    "add": "+", "subtract": "-", "sub": "-", "divide": "/", "div": "/", "true_divide": "/", "floor_divide": "//",
}  # fmt: skip


def default(call: LibraryCall) -> Value:
    """A value computed from all arguments; a trailing underscore means in place."""
    engine = call.engine
    prov = call.prov()
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
    if call.name != "where" and sum(bool(argument.prov.uses) for argument in call.values()) > 1:
        prov = scaling.unscaled(call.engine.lattice, prov)
    if call.name in _REAL:
        prov = uses.gated(call.engine.lattice, prov)
        scale = scaling.logarithm if call.name in _LOGARITHMS else scaling.unscaled
        prov = scale(call.engine.lattice, prov)
        if call.name in _CURVES:
            prov = scaling.bent(call.engine.lattice, prov)
        if call.name == "exp" and prov.flags & P.LEARNED_BYTES and not prov.flags & P.NLL:
            prov = call.engine.lattice.flagged(prov, P.BYTE_PRODUCT, P.TABLE)
    elif call.name == "bool":
        prov = uses.gate(call.engine.lattice, prov)
    if call.name in {"exp", "exp2", "logaddexp"} and prov.flags & P.SPREAD:
        prov = call.engine.shared_out(prov)
    return prov


def _is_one_hot(call: LibraryCall) -> bool:
    """``zeros.scatter_(-1, tokens[..., None], 1)``: one number for all, along the axis of the vocabulary."""
    axis, value = call.constant(1, "dim"), call.arg(3, "value", "src")
    return call.name == "scatter_" and isinstance(axis, int) and axis not in {0, 1} and isinstance(value, Const)


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
    if key is not None and _is_one_hot(call):
        # Each position marks its own token in its own row: nothing that another position could look up.
        prov = uses.used(engine.lattice, prov, "one-hot", engine.tokens_given(key))
    elif key is not None:
        learned = engine.learned(key, "table", owner)
        if learned is not None:
            prov = engine.lattice.union(engine.without_tokens(engine.prov_of(call.args[3:])), learned)
        prov = engine.lattice.merge(prov, engine.keyed_by_training(key))
    several = isinstance(owner, Union)
    operator = OPERATORS.get(call.name.removesuffix("_"))
    if operator is not None and len(call.args) == 2 and operator not in "+-":
        for array in arrays_in(owner):
            engine.write(array, engine.prov_of([engine.binary(operator, array, call.args[1])]))
        return owner
    for array in arrays_in(owner):
        engine.write(array, prov, replace=replace and (not several or call.name in {"copy_", "zero_"}))
    return owner
