"""Models of modules, optimisers and gradients: what learns, and from what."""

from __future__ import annotations

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow import uses
from auditor.flow.library.call import LibraryCall, Model, arrays_in
from auditor.flow.provenance import Mark, Provenance
from auditor.flow.values import Array, ClassObj, Const, Dict, External, Instance, Seq, Top, Tuple, Union, Value

_OPTIMISERS = ("SGD", "Adam", "AdamW", "LBFGS", "RMSprop", "Adagrad", "Optimizer", "Muon", "Adamax", "NAdam", "RAdam")


# -- modules ---------------------------------------------------------------------------------------------------------


def parameters_of(value: Value | None, seen: set[int] | None = None, depth: int = 0) -> list[tuple[str, Array]]:
    """The parameters in a tree of modules, with the last component of their names."""
    seen = set() if seen is None else seen
    if value is None or id(value) in seen or depth > 12:
        return []
    seen.add(id(value))
    found: list[tuple[str, Array]] = []
    if isinstance(value, Instance):
        for name, part in value.attrs.items():
            if isinstance(part, Array):
                if part.role == "parameter" and id(part) not in seen:
                    seen.add(id(part))
                    found.append((name, part))
            else:
                found += parameters_of(part, seen, depth + 1)
    elif isinstance(value, Array):
        if value.role == "parameter":
            found.append(("", value))
    elif isinstance(value, Seq | Tuple | Union | Dict):
        parts: list[Value | None]
        if isinstance(value, Dict):
            parts = [*value.known.values(), value.element]
        elif isinstance(value, Seq):
            parts = [*(value.items or []), value.element]
        else:
            parts = list(value.items)
        for item in parts:
            found += parameters_of(item, seen, depth + 1)
    return found


def _group(call: LibraryCall, owner: Value) -> Value | None:
    arrays = [a for _, a in parameters_of(owner)]
    if not arrays:
        return None
    if len(arrays) == 1:
        return arrays[0]
    return Union(tuple(arrays), call.engine.prov_of(arrays))


def _parameters(call: LibraryCall) -> Value | None:
    engine, owner = call.engine, call.owner
    if owner is None:
        return None
    group = _group(call, owner)
    none = engine.lattice.none
    if group is None:
        return Seq(None, None, none)
    if call.name.startswith("named_"):
        return Seq(None, Tuple((engine.top(), group), none), none)
    return Seq(None, group, none)


def _modules(call: LibraryCall) -> Value | None:
    """``modules()``, ``named_modules()``, ``children()``."""
    engine = call.engine
    found: list[Value] = []

    def walk(value: Value, depth: int) -> None:
        if depth > 8 or any(value is f for f in found):
            return
        if isinstance(value, Instance):
            found.append(value)
            for part in value.attrs.values():
                walk(part, depth + 1)
        elif isinstance(value, Seq):
            for part in [*(value.items or []), *([value.element] if value.element is not None else [])]:
                walk(part, depth + 1)

    if call.owner is not None:
        walk(call.owner, 0)
    none = engine.lattice.none
    if not found:
        return Seq(None, None, none)
    if call.name.startswith("named_"):
        return Seq([Tuple((engine.top(), module), none) for module in found[:24]], None, none)
    return Seq(found[:24], None, none)


def _state_dict(call: LibraryCall) -> Value | None:
    """A snapshot: what the weights have learned so far."""
    engine = call.engine
    owner = call.owner
    if owner is None:
        return None
    result = Dict({}, engine.lattice.none)
    prov = engine.prov_of([a for _, a in parameters_of(owner)])
    result.key = engine.top()
    result.element = Array(engine.lattice.flagged(prov, P.WEIGHTS))
    return result


def _load_state_dict(call: LibraryCall) -> Value | None:
    """Weights become what is loaded."""
    engine = call.engine
    if call.owner is None or len(call.args) < 2:
        return None
    prov = engine.deep(call.args[1])
    calibrated = bool(prov.regions) and bool(prov.flags & P.VAL)
    marks = prov.marks
    if calibrated:
        mark = Mark("calibration", prov.regions, engine.lattice.site, engine.stack(), engine.phase)
        marks = frozenset(m for m in marks if m.kind != "gradient") | {mark}  # statistics of gradients are statistics
        engine.note_update(mark)
    if prov.flags & P.ARTIFACT:
        engine.reloaded = engine.phase
    clean = engine.lattice.make(P.WEIGHTS, marks=marks)
    engine.heap.advance()
    for _, array in parameters_of(call.owner):
        engine.heap.touch(array)
        array.prov = clean
    return engine.nothing


def _parameter(call: LibraryCall) -> Value:
    engine = call.engine
    source = call.arg(0, "data")
    prov = engine.lattice.none
    rows = None
    ndim = None
    if isinstance(source, Array):
        prov, rows, ndim = engine.lattice.archived(source.prov), source.rows, source.ndim
    return Array(engine.lattice.flagged(prov, P.WEIGHTS), None, ndim, None, "parameter", rows)


def _layer(call: LibraryCall) -> Value:
    """``nn.Linear(...)`` and every other library module."""
    engine = call.engine
    layer = Instance(External(call.dotted, engine.lattice.none), engine.lattice.none)
    if call.name in {"Linear", "Embedding", "Conv1d", "LayerNorm", "RMSNorm", "EmbeddingBag", "Bilinear"}:
        weights = engine.lattice.make(P.WEIGHTS)
        layer.attrs["weight"] = Array(weights, None, 2, None, "parameter")
        bias = call.constant(99, "bias")
        layer.attrs["bias"] = engine.nothing if bias is False else Array(weights, None, 1, None, "parameter")
    elif call.name == "Sequential":
        layer.attrs["_items"] = Seq(list(call.args), None, engine.lattice.none)
    return layer


def _module_list(call: LibraryCall) -> Value:
    engine = call.engine
    if not call.args:
        return Seq([], None, engine.lattice.none)
    items = engine.known_items(call.args[0])
    if isinstance(call.args[0], Dict):
        return call.args[0]
    if items is not None:
        return Seq(_representatives(items), None, engine.lattice.none)
    return Seq(None, engine.elements(call.args[0]), engine.lattice.none)


def _representatives(items: list[Value]) -> list[Value]:
    """Equal layers are one layer: what is true of one is true of all, and a call is remembered for all."""
    first: dict[object, Value] = {}
    result = []
    for item in items:
        key: object = id(item)
        if isinstance(item, Instance) and isinstance(item.cls, ClassObj):
            present = tuple(n for n, v in item.attrs.items() if not (isinstance(v, Const) and v.value is None))
            key = (id(item.cls), present)
        result.append(first.setdefault(key, item))
    return result


def call_layer(call: LibraryCall) -> Value:
    """Call an instance of a library class: a layer gives something computed with its weights."""
    engine = call.engine
    layer = call.owner
    args = call.args[1:]
    items = layer.attrs.get("_items") if isinstance(layer, Instance) else None
    if items is not None:
        value = args[0] if args else engine.nothing
        for item in engine.known_items(items) or []:
            value = engine.call(item, [value], {})
        return value
    prov = engine.prov_of([*args, *call.keywords.values()])
    if isinstance(layer, Instance):
        prov = engine.lattice.union(prov, engine.prov_of([a for _, a in parameters_of(layer)]))
        name = layer.cls.name if isinstance(layer.cls, External) else ""
        if name.endswith("CrossEntropyLoss"):
            return Array(engine.lattice.change(prov, flags=prov.flags | P.NLL, tokens=(), reads=()))
        if name in {"ctypes", _EXTENSION} or "CDLL" in name:
            return engine.opaque_call(args, call.keywords, "compiled")
    # Which loop iteration chose the tokens is in their regions; of an activation nothing is chosen.
    flags = (prov.flags | P.WEIGHTS) & ~P.HASHED
    prov = engine.lattice.change(prov, flags=flags, deps=P.NO_DEPS, tokens=(), reads=())
    at = engine.tokens_given(args[0]) if args else []
    return engine.hooked(args, Array(uses.used(engine.lattice, prov, "felt", at)))


def _register(call: LibraryCall) -> Value | None:
    """``register_buffer`` and ``register_parameter``."""
    engine = call.engine
    name = call.constant(1, "name")
    if isinstance(call.owner, Instance) and isinstance(name, str):
        value = call.arg(2, "tensor", "param")
        if isinstance(value, Array):  # it goes into the artifact with the weights
            value = engine.with_prov(value, engine.lattice.archived(value.prov))
        if value is not None:
            engine.set_attribute(call.owner, name, value)
    return engine.nothing


def _hook(call: LibraryCall) -> Value:
    engine = call.engine
    hook = call.arg(1, "hook")
    if hook is not None:
        engine.hooks = [*engine.hooks, hook]
    handle = Instance(External("handle", engine.lattice.none), engine.lattice.none)
    if hook is not None:
        handle.attrs["hook"] = hook
    return handle


def _remove(call: LibraryCall) -> Value | None:
    engine = call.engine
    handles = [call.owner] if isinstance(call.owner, Instance) else list(getattr(call.owner, "items", None) or [])
    hooks = [h.attrs.get("hook") for h in handles if isinstance(h, Instance)]
    if not any(h is not None for h in hooks):
        return None
    engine.hooks = [h for h in engine.hooks if not any(h is gone for gone in hooks)]
    return engine.nothing


def _apply(call: LibraryCall) -> Value | None:
    return call.owner if isinstance(call.owner, Instance) else None


def _mode(call: LibraryCall) -> Value | None:
    return call.owner if isinstance(call.owner, Instance) else None


def _train(call: LibraryCall) -> Value | None:
    """``model.train()`` and ``model.eval()``: from here on every module of it knows whether it is being trained."""
    engine = call.engine
    mode = call.args[1] if len(call.args) > 1 else engine.const(call.name == "train")
    todo: list[tuple[Value | None, int]] = [(call.owner, 0)]
    seen: set[int] = set()
    while todo:
        value, depth = todo.pop()
        if value is None or id(value) in seen or depth > 8:
            continue
        seen.add(id(value))
        if isinstance(value, Instance):
            engine.set_attribute(value, "training", mode)
            todo += [(part, depth + 1) for part in value.attrs.values() if isinstance(part, Instance | Seq | Union)]
        elif isinstance(value, Seq | Union):
            todo += [(part, depth + 1) for part in engine.parts(value)]
    return _mode(call)


# -- gradients and optimisers ----------------------------------------------------------------------------------------


def _backward(call: LibraryCall) -> Value:
    engine = call.engine
    loss = call.args[0] if call.args else engine.nothing
    engine.grad = engine.lattice.union(engine.grad, _gradient(call, engine.deep(loss)))
    return engine.nothing


def _gradient(call: LibraryCall, prov: Provenance) -> Provenance:
    """A gradient knows the tokens of its loss: whatever is computed with it has learned from them."""
    engine = call.engine
    marks: tuple[Mark, ...] = ()
    if prov.regions and prov.flags & P.VAL:
        marks = (Mark("gradient", prov.regions, engine.lattice.site, engine.stack(), engine.phase),)
    return engine.lattice.make(prov.flags & (P.VAL | P.TRAIN), prov.deps, prov.regions, marks)


def _autograd(call: LibraryCall) -> Value:
    """``torch.autograd.grad(loss, inputs)``."""
    engine = call.engine
    loss = call.arg(0, "outputs")
    prov = _gradient(call, engine.deep(loss)) if loss is not None else engine.lattice.none
    return Seq(None, Array(prov), engine.lattice.none)


def _zero_grad(call: LibraryCall) -> Value:
    call.engine.grad = call.engine.lattice.none
    return call.engine.nothing


def _optimizer(call: LibraryCall) -> Value:
    engine = call.engine
    args = list(call.args)
    if args and isinstance(args[0], Instance) and isinstance(args[0].cls, ClassObj):
        instance = args.pop(0)
    else:
        instance = Instance(External(f"torch.optim.{call.name}", engine.lattice.none), engine.lattice.none)
    assert isinstance(instance, Instance)  # noqa: S101 - both branches make one
    members: list[Value] = []
    for value in [*args, *call.keywords.values()]:
        for array in arrays_in(value):
            if not any(array is m for m in members):
                members.append(array)
    instance.attrs["params"] = Seq(members, None, engine.lattice.none)
    return instance


def _step(call: LibraryCall) -> Value | None:
    """``optimizer.step()``, ``scaler.step(optimizer)``, ``optimizer.step(closure)``."""
    engine = call.engine
    target = call.owner
    for value in call.args[1:]:
        if isinstance(value, Instance):
            target = value
        elif not isinstance(value, Const | Top):
            engine.call(value, [], {})
    for item in target.items if isinstance(target, Union) else (target,):
        if isinstance(item, Instance) and "params" in item.attrs:
            for array in arrays_in(item.attrs["params"]):
                learn(call, array)
    return engine.nothing


def learn(call: LibraryCall, array: Array) -> None:
    """A parameter moves along the gradient of the last backward passes."""
    engine = call.engine
    if not engine.grad.regions:
        if engine.grad.flags & P.TRAIN:
            engine.write(array, engine.grad)
        return
    kind = "weights" if array.role == "parameter" else "slot"
    engine.write(array, engine.grad, kind=kind)


def _scale(call: LibraryCall) -> Value | None:
    return call.args[1] if len(call.args) > 1 else None


# -- compiled code ---------------------------------------------------------------------------------------------------

_EXTENSION = "extension"


def _compiled(call: LibraryCall) -> Value:
    return Instance(External(_EXTENSION, call.engine.lattice.none), call.engine.lattice.none)


def is_compiled(owner: Value | None) -> bool:
    """Whether a value is a library of compiled code, whose methods are its functions."""
    return isinstance(owner, Instance) and isinstance(owner.cls, External) and owner.cls.name == _EXTENSION


_LAYERS = (
    "Linear", "Embedding", "Conv1d", "LayerNorm", "RMSNorm", "Dropout", "Identity", "Sequential", "GELU", "SiLU",
    "ReLU", "CrossEntropyLoss", "EmbeddingBag", "Bilinear",
)  # fmt: skip
FUNCTIONS: dict[str, Model] = {
    **dict.fromkeys(_LAYERS, _layer), **dict.fromkeys(("ModuleList", "ParameterList", "ModuleDict", "ParameterDict"),
                                                      _module_list),
    "Parameter": _parameter, "torch.nn.Parameter": _parameter, "torch.autograd.grad": _autograd,
    **{f"torch.optim.{name}": _optimizer for name in _OPTIMISERS}, **dict.fromkeys(_OPTIMISERS, _optimizer),
    **dict.fromkeys(("CDLL", "load_inline", "load_library", "cpp_extension.load"), _compiled),
}  # fmt: skip
METHODS: dict[str, Model] = {
    **dict.fromkeys(("parameters", "named_parameters"), _parameters),
    **dict.fromkeys(("modules", "named_modules", "children", "named_children"), _modules),
    "state_dict": _state_dict, "load_state_dict": _load_state_dict, "register_buffer": _register,
    "register_parameter": _register, "add_module": _register, "register_forward_hook": _hook,
    "register_forward_pre_hook": _hook, "remove": _remove, "apply": _apply,
    **dict.fromkeys(("train", "eval"), _train), **dict.fromkeys(("requires_grad_", "module"), _mode),
    "backward": _backward, "zero_grad": _zero_grad, "step": _step, "scale": _scale,
}  # fmt: skip
