"""Attributes of everything, and decorators."""

from __future__ import annotations

from auditor.flow.classes import Classes
from auditor.flow.provenance import Provenance
from auditor.flow.values import (
    Array,
    Bound,
    ClassObj,
    Closure,
    Const,
    External,
    Instance,
    Method,
    Obj,
    Scope,
    Top,
    Union,
    Value,
    fingerprint,
)


class Attributes(Classes):
    """``owner.name``, read and written."""

    grad: Provenance
    kernels: set[int]

    def library_attribute(self, owner: Value, name: str) -> Value:
        """An attribute of a library value."""
        raise NotImplementedError

    def external_member(self, module: str, name: str) -> Value:
        """``module.name`` of a library."""
        raise NotImplementedError

    def attribute(self, owner: Value, name: str) -> Value:
        if isinstance(owner, External):
            return self.external_member(owner.name, name)
        if isinstance(owner, Instance):
            return self._instance_attribute(owner, name)
        if isinstance(owner, Scope):
            return owner.names.get(name) or Top(self.lattice.none)
        if isinstance(owner, ClassObj):
            value = self.find(owner, name)
            if value is not None:
                return self._class_member(owner, value)
            if name == "apply" and self.find(owner, "forward") is not None:
                forward = self.find(owner, "forward")
                if forward is not None:
                    inner = forward.function if isinstance(forward, Bound) else forward
                    return Bound(inner, (self.top(),), {}, self.lattice.none)
            return Method(owner, name, self.lattice.none)
        if isinstance(owner, Union):
            if all(isinstance(item, Array) for item in owner.items):
                return self.group_attribute(owner, name)
            found = [self.attribute(v, name) for v in owner.items if not (isinstance(v, Const) and v.value is None)]
            return self.join_all(found) if found else self.top()
        if isinstance(owner, Closure | Bound):
            return owner if name in {"__wrapped__", "_orig_mod"} else Method(owner, name, self.lattice.none)
        return self.library_attribute(owner, name)

    def group_attribute(self, owner: Union, name: str) -> Value:
        """An attribute of one of several arrays, such as any parameter of a model."""
        if name in {"data", "T"}:
            return owner
        if name == "grad":
            return Array(self.grad)
        return (
            self.library_attribute(owner.items[0], name)
            if name in {"shape", "ndim", "dtype"}
            else Method(owner, name, self.lattice.none)
        )

    def _class_member(self, owner: ClassObj, value: Value) -> Value:
        if isinstance(value, Bound) and "classmethod" in value.keywords:
            return Bound(value.function, (owner,), {}, self.lattice.none)
        if isinstance(value, Bound) and "staticmethod" in value.keywords:
            return value.function
        return value

    def _instance_attribute(self, owner: Instance, name: str) -> Value:
        value = owner.attrs.get(name)
        if value is not None:
            return value
        if isinstance(owner.cls, External):
            if owner.cls.name == "super":
                return self._super_attribute(owner, name)
            return self.library_attribute(owner, name)
        member = self.find(owner.cls, name)
        if isinstance(member, Bound):
            if "property" in member.keywords:
                return self.call(member.function, [owner], {})
            if "classmethod" in member.keywords:
                return Bound(member.function, (owner.cls,), {}, self.lattice.none)
            if "staticmethod" in member.keywords:
                return member.function
            return Bound(member, (owner,), {}, self.lattice.none)
        if isinstance(member, Closure):
            return Bound(member, (owner,), {}, self.lattice.none)
        if member is not None:
            return member
        if name in {"module", "_orig_mod"}:
            return owner
        if name == "__class__":
            return owner.cls
        getter = self.find(owner.cls, "__getattr__")
        if getter is not None:
            return self.call(getter, [owner, self.const(name)], {})
        return self.library_attribute(owner, name)

    def _super_attribute(self, proxy: Instance, name: str) -> Value:
        this, cls = proxy.attrs["this"], proxy.attrs["class"]
        member = self.find(this.cls if isinstance(this, Instance) else cls, name, after=cls)
        if isinstance(member, Closure | Bound):
            return Bound(member, (this,), {}, self.lattice.none)
        if name == "__init__" and isinstance(this, Instance) and self.inherits(this.cls, "Optimizer"):
            return Bound(External("torch.optim.Optimizer", self.lattice.none), (this,), {}, self.lattice.none)
        if member is None and isinstance(this, Instance):
            return Method(this, name, self.lattice.none)
        return member or self.top()

    def set_attribute(self, owner: Value, name: str, value: Value) -> None:
        if isinstance(owner, Union):
            for item in owner.items:
                self.set_attribute(item, name, value)
        elif isinstance(owner, Instance | ClassObj):
            before = owner.attrs.get(name)
            if before is not None and fingerprint(before) == fingerprint(value):
                return
            # A cache that may hold this already.
            cached = before.items if isinstance(before, Union) and isinstance(value, Array) and not value.role else ()
            if any(fingerprint(item) == fingerprint(value) for item in cached):
                return
            self.heap.touch(owner)
            owner.attrs[name] = value
        elif isinstance(owner, Scope):
            self.heap.touch(owner)
            owner.names[name] = value
        elif isinstance(owner, Array) and name in {"data", "grad"}:
            if name == "data":
                self.write(owner, self.deep(value), replace=True)
            elif isinstance(value, Const):
                self.grad = self.lattice.none
            else:
                self.grad = self.lattice.union(self.grad, value.prov)
        elif isinstance(owner, Array) and name == "requires_grad":
            if self.truth(value) is not False and not owner.role:
                self.heap.touch(owner)
                owner.role = "leaf"
        elif isinstance(owner, Closure | Bound | External | Const):
            return
        elif isinstance(owner, Obj):
            self.heap.touch(owner)
            owner.prov = self.lattice.union(owner.prov, self.deep(value))

    def decorate(self, decorator: Value, value: Value) -> Value:
        """Apply a decorator: those of libraries change nothing that matters here, with few exceptions."""
        name = decorator.name if isinstance(decorator, External | Method) else ""
        last = name.rpartition(".")[2]
        if last in {"property", "cached_property"}:
            return Bound(value, (), {"property": self.nothing}, self.lattice.none)
        if last in {"staticmethod", "classmethod"}:
            return Bound(value, (), {last: self.nothing}, self.lattice.none)
        if name.startswith("triton") and isinstance(value, Closure):
            self.kernels = self.kernels | {id(value.function)}
            return value
        if isinstance(decorator, Closure):
            result = self.call(decorator, [value], {})
            return result if not isinstance(result, Const | Array) else value
        return value
