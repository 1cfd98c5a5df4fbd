"""Models of what submissions import: dispatch by name, and the default.

The default is the heart: a library function gives a value computed from all its arguments. Only what changes the
provenance in another way has a model of its own, in one of the modules beside this one.
"""

from __future__ import annotations

import math

from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.engine import names_validation
from auditor.flow.library import (
    containers,
    creation,
    distributed,
    distributions,
    environment,
    files,
    iteration,
    numbers,
    objects,
    selection,
    shapes,
    tables,
    text,
    training,
)
from auditor.flow.library.call import LibraryCall, Model
from auditor.flow.library.default import default
from auditor.flow.statements import Interpreter
from auditor.flow.values import Array, Const, Dict, External, Instance, Method, Seq, Top, Tuple, Union, Value

_FUNCTIONS: dict[str, Model] = {
    **creation.FUNCTIONS,
    **shapes.FUNCTIONS,
    **distributions.FUNCTIONS,
    **selection.FUNCTIONS,
    **tables.FUNCTIONS,
    **distributed.FUNCTIONS,
    **training.FUNCTIONS,
    **numbers.FUNCTIONS,
    **iteration.FUNCTIONS,
    **objects.FUNCTIONS,
    **containers.FUNCTIONS,
    **environment.FUNCTIONS,
    **files.FUNCTIONS,
}
_METHODS: dict[str, Model] = {
    **_FUNCTIONS,
    **shapes.METHODS,
    **selection.METHODS,
    **training.METHODS,
    **environment.METHODS,
}
_CONTAINER_METHODS: dict[str, Model] = {**_METHODS, **containers.METHODS, **text.METHODS}
_CONSTANTS = {"math.pi": math.pi, "math.e": math.e, "math.inf": math.inf, "numpy.pi": math.pi}
_VIEWS = {"T", "mT", "data", "flat", "real", "H", "ctypes"}
_SHAPES = {"shape", "ndim", "dtype", "device", "itemsize", "nbytes", "is_cuda", "requires_grad", "strides"}


class Auditing(Interpreter):
    """The interpreter with its library."""

    def external_member(self, module: str, name: str) -> Value:
        dotted = f"{module}.{name}"
        if dotted in _CONSTANTS:
            return self.const(_CONSTANTS[dotted])
        if dotted == "sys.argv":
            return Seq([self.const("train_gpt.py")], None, self.lattice.none)
        return External(dotted, self.lattice.none)

    def call_library(self, name: str, args: list[Value], keywords: dict[str, Value], owner: Value | None) -> Value:
        for i, arg in enumerate(args):
            if isinstance(arg, Union) and all(map(names_validation, arg.items)):
                each = [(v, [*args[:i], v, *args[i + 1 :]]) for v in arg.items]
                return self.join_all(
                    [self.call_library(name, a, keywords, v if owner is arg else owner) for v, a in each]
                )
        if training.is_compiled(owner):
            return self.opaque_call(args[1:], keywords, "compiled", name)
        last = name.rpartition(".")[2]
        if owner is None:
            model = _FUNCTIONS.get(name) or (_FUNCTIONS.get(last) if not name.startswith("builtins.") else None)
        elif isinstance(owner, Seq | Dict | Tuple) or (isinstance(owner, Const | Top) and last in text.METHODS):
            model = _CONTAINER_METHODS.get(last)
        else:
            model = _METHODS.get(last)
        call = LibraryCall(self, name, last, args, keywords, owner)
        result = model(call) if model is not None else None
        return result if result is not None else default(call)

    def _call_each(
        self, name: str, args: list[Value], position: int, keywords: dict[str, Value], owner: Value | None
    ) -> Value:
        """Call a library function with each of the values that an argument may be."""
        arg = args[position]
        results = []
        for value in self.parts(arg):
            given = [*args[:position], value, *args[position + 1 :]]
            results.append(self.call_library(name, given, keywords, value if owner is arg else owner))
        return self.join_all(results)

    def call_layer(self, layer: Instance, args: list[Value], keywords: dict[str, Value]) -> Value:
        call = LibraryCall(self, "layer", "layer", [layer, *args], keywords, layer)
        return training.call_layer(call)

    def index_instance(self, owner: Instance, index: Value) -> Value:
        getter = self.find(owner.cls, "__getitem__")
        if getter is not None:
            return self.call(getter, [owner, index], {})
        items = owner.attrs.get("_items")
        if items is not None:
            return self.load_item(items, index)
        return Top(self.lattice.union(self.deep(owner), self.deep(index)))

    def call_factory(self, owner: Dict) -> Value:
        return self.call(owner.factory, [], {}) if owner.factory is not None else self.top()

    def library_attribute(self, owner: Value, name: str) -> Value:
        if isinstance(owner, Array):
            if name in _VIEWS:
                return owner
            if name in {"values", "indices"}:
                return owner  # of what min() and max() along an axis give
            if name == "grad":
                return Array(self.grad)
            if name in _SHAPES:
                return self._shape(owner, name)
        if name == "__dict__" and isinstance(owner, Instance):
            return Dict(dict(owner.attrs), self.lattice.none)
        if name == "param_groups":
            params = owner.attrs.get("params") if isinstance(owner, Instance) else None
            group = Dict({"params": params} if params is not None else {}, self.lattice.none)
            group.key, group.element = self.top(), self.top()
            return Seq([group], None, self.lattice.none)
        if isinstance(owner, Top | Const) and name in {"parent", "name", "stem", "stdout", "returncode"}:
            return Top(self.lattice.flagged(owner.prov, 0, P.VAL))
        if isinstance(owner, Top) and name in _SHAPES:
            return Top(self.lattice.none, self.numbers.of((name, owner.affine, owner)))
        return Method(owner, name, self.lattice.none)

    def _shape(self, owner: Array, name: str) -> Value:
        self.keep(owner)
        size = Top(self.lattice.none, self.numbers.of(("size", owner)))
        return Seq(None, size, self.lattice.none) if name in {"shape", "strides"} else size
