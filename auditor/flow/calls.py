"""Calls: functions and classes of the program, attributes, decorators, imports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from auditor.flow import ir, uses
from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.affine import Affine
from auditor.flow.engine import MAX_ITEMS, Frame
from auditor.flow.expressions import Expressions
from auditor.flow.memory import CallMemory
from auditor.flow.provenance import Fact, Site
from auditor.flow.values import (
    Array,
    Bound,
    ClassObj,
    Closure,
    Const,
    Dict,
    External,
    Instance,
    Method,
    Obj,
    Scope,
    Seq,
    Top,
    Tuple,
    Union,
    Value,
    fingerprint,
)
from auditor.flow.witness import Witness

MAX_DEPTH = 40
_TRANSPARENT_CALLS = {"torch.nn.parallel.DistributedDataParallel"}


class Program(Protocol):
    """The files that the interpretation may enter."""

    def module(self, dotted: str, importer: str) -> str | None:
        """The file of a module of the submission, None for a library."""

    def load(self, file: str) -> ir.Module | None:
        """A file, lowered; None where it cannot be parsed."""


class Calls(Expressions):
    """Calls and attributes. ``library`` models what the program imports."""

    def __init__(
        self,
        program: Program,
        environment: Mapping[str, str],
        logged: Mapping[str, str],
        budget: int,
        all_flags: bool = False,
        witness: Witness = Witness((), ()),  # noqa: B008 - says nothing, and keeps nothing
    ) -> None:
        super().__init__(budget)
        self.program = program
        self.witness = witness
        self.environment = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "8", **environment}
        self.logged = {name.lower(): value for name, value in logged.items()}
        self.all_flags = all_flags
        self.kept = []
        self.kernels: set[int] = set()
        self.memory = CallMemory(self.heap)
        self.modules: dict[str, Scope] = {}
        self.grad = self.lattice.none
        self.files: dict[str, Value] = {}
        self.hooks: list[Value] = []
        self.module_calls = 0
        self._hooked: set[tuple[int, int]] = set()
        self._replacing: set[int] = set()
        self.opaque: dict[Site, str] = {}
        self.reported: dict[Fact, tuple[Site, tuple[Site, ...], bool]] = {}
        self.printed: dict[tuple[Site, ...], None] = {}
        """Where scores are printed: the last calls on the way, and the statement."""
        self.carried: dict[Fact, dict[tuple[Site, ...], None]] = {}
        self.used: set[tuple[Site, str]] = set()
        self.scores: list[tuple[Site, int]] = []
        self.updates: dict[tuple[Site, str], P.Mark] = {}
        self.branches: dict[Site, set[bool]] = {}
        self.entered: set[int] = set()

    def block(self, body: list[ir.Stmt]) -> bool:
        """Run statements."""
        raise NotImplementedError

    def note_branch(self, node: ir.If, taken: bool) -> None:
        """Remember which sides of a decided branch ran, so that the rest can be called dormant."""
        self.branches.setdefault(self.lattice.site, set()).add(taken)

    def is_setting(self, test: Value) -> bool:
        """Whether a decided condition is a switch of the launch configuration."""
        return isinstance(test, Const) and isinstance(test.value, bool | int | str)

    @staticmethod
    def is_main_guard(test: ir.Expr) -> bool:
        """``__name__ == "__main__"``."""
        return isinstance(test, ir.Compare) and isinstance(test.left, ir.Name) and test.left.id == "__name__"

    def environment_has(self, name: str) -> bool:
        return name in self.environment

    # -- running -----------------------------------------------------------------------------------------------------

    def import_file(self, file: str, main: bool = False) -> Scope:
        """Run a file's top level once; its names."""
        scope = self.modules.get(file)
        if scope is not None:
            return scope
        scope = self.modules[file] = Scope(None, file, self.lattice.none)
        self.heap.share(scope)
        scope.names["__name__"] = self.const("__main__" if main else file.rpartition("/")[2].removesuffix(".py"))
        scope.names["__file__"] = self.const(file)
        module = self.program.load(file)
        if module is None:
            self.reasons[f"{file}: not parsable"] = None
            return scope
        self.run_in(scope, module.body, None)
        return scope

    def run_in(self, scope: Scope, body: list[ir.Stmt], cls: ClassObj | None) -> None:
        """Run a module's or class's body in its scope."""
        file, self.file = self.file, scope.file
        outer_loops, self.loops = self.loops, self.loops if cls else []
        self.frames.append(Frame(None, scope, self.lattice.site if self.frames else Site("", 0), self.heap.depth))
        try:
            self.block(body)
        finally:
            self.frames.pop()
            self.file = file
            self.loops = outer_loops
        if cls is not None:
            for value in scope.names.values():
                inner = value.function if isinstance(value, Bound) else value
                if isinstance(inner, Closure):
                    inner.owner = cls

    def _call(self, node: ir.Call) -> Value:
        function = self.eval(node.func)
        args: list[Value] = []
        for arg in node.args:
            if isinstance(arg, ir.Starred):
                value = self.eval(arg.value)
                known = self.known_items(value)
                args += known if known is not None and len(known) < MAX_ITEMS else [self.elements(value)]
            else:
                args.append(self.eval(arg))
        keywords: dict[str, Value] = {}
        for name, expr in node.keywords:
            value = self.eval(expr)
            if name is not None:
                keywords[name] = value
            elif isinstance(value, Dict):
                keywords.update({k: v for k, v in value.known.items() if isinstance(k, str)})
        self.at(node)
        return self.call(function, args, keywords)

    def call(self, function: Value, args: list[Value], keywords: dict[str, Value]) -> Value:
        if isinstance(function, Closure):
            return self.call_closure(function, args, keywords)
        if isinstance(function, Bound):
            return self.call(function.function, [*function.args, *args], {**function.keywords, **keywords})
        if isinstance(function, External):
            if _is_field(function):
                return Bound(function, (), keywords, self.lattice.none)
            return self.call_library(function.name, args, keywords, None)
        if isinstance(function, Method):
            return self.call_library(function.name, [function.owner, *args], keywords, function.owner)
        if isinstance(function, ClassObj):
            return self.instantiate(function, args, keywords)
        if isinstance(function, Instance):
            return self.call_instance(function, args, keywords)
        if isinstance(function, Union):
            return self._call_union(function, args, keywords)
        return self.call_unknown(function, args, keywords)

    def _call_union(self, function: Union, args: list[Value], keywords: dict[str, Value]) -> Value:
        targets = [f for f in function.items if not isinstance(f, Const)]
        if len(targets) == 1:
            return self.call(targets[0], args, keywords)
        results: list[Value] = []
        for target in targets[:4]:

            def run(target: Value = target) -> bool:
                results.append(self.call(target, args, keywords))
                return True

            self.fork(run, lambda: True) if len(targets) > 1 else run()
        return self.join_all(results) if results else self.top()

    def call_unknown(self, function: Value, args: list[Value], keywords: dict[str, Value]) -> Value:
        """A call of something unknown: the result may hold whatever went in."""
        prov = self.prov_of([function, *args, *keywords.values()])
        for value in [*args, *keywords.values()]:
            if (
                isinstance(value, Closure)
                and value.function.name != "<lambda>"
                and id(value.function) not in self.entered
            ):
                self.call(value, [], {})
        flags = prov.flags | P.OPAQUE
        return Array(self.lattice.change(prov, flags=flags, deps=prov.deps | self.impure_deps(), reads=()))

    def opaque_call(self, args: list[Value], keywords: dict[str, Value], why: str) -> Value:
        """Compiled code: whatever goes in may come out, through the result and through every array argument."""
        values = [*args, *keywords.values()]
        prov = self.lattice.flagged(self.prov_of(values), P.OPAQUE)
        prov = self.lattice.change(prov, tokens=(), reads=())
        for value in values:
            if isinstance(value, Array) and not value.role and not value.prov.flags & P.VAL:
                self.write(value, prov)
        self.opaque.setdefault(self.lattice.site, why)
        return Top(prov)

    def call_closure(self, closure: Closure, args: list[Value], keywords: dict[str, Value]) -> Value:
        """Run a function of the program."""
        node = closure.function
        active = sum(1 for f in self.frames if f.function is node)
        if len(self.frames) > MAX_DEPTH or active > 1:
            return self.call_unknown(closure, args, keywords)
        if id(node) in self.kernels:
            return self.opaque_call(args, keywords, "kernel")
        self.entered.add(id(node))
        key = self.memory.key(closure, args, keywords, len(self.hooks), self.phase, self.reloaded)
        loops = list(self.loops)
        iterations = tuple([loop.iteration for loop in loops])
        known = self.memory.get(key, iterations)
        if known is not None:
            return known
        stamp, effects, grad, asked = self.heap.stamp, self.effects, self.grad, self.asked(loops)
        self.heap.push()
        try:
            result = self._run_closure(closure, args, keywords)
        finally:
            pure = self.heap.commit()
        if pure and (stamp, effects) == (self.heap.stamp, self.effects) and grad is self.grad:
            return self.memory.put(key, result, iterations if self.asked(loops) != asked else None)
        return result

    def _run_closure(self, closure: Closure, args: list[Value], keywords: dict[str, Value]) -> Value:
        node = closure.function
        scope = Scope(closure.scope, node.file, self.lattice.none)
        scope.globals_ = node.global_names
        self._bind_parameters(closure, scope, args, keywords)
        site = self.lattice.site
        frame = Frame(node, scope, site, self.heap.depth)
        frame.owner, frame.first = closure.owner, args[0] if args else None
        loops = len(self.loops)
        self.frames.append(frame)
        file, self.file = self.file, node.file
        try:
            goes_on = self.block(node.body)
        finally:
            self.frames.pop()
            del self.loops[loops:]
            self.file = file
            self.lattice.site = site
        if frame.exits:
            self.absorb(frame.exits, goes_on or len(frame.returns) > len(frame.exits))
        if node.generator:
            return Seq(None, self.join_all(frame.yields) if frame.yields else None, self.lattice.none, "generator")
        if goes_on and frame.returns and not self._always_none(frame):
            return self.join(self.join_all(frame.returns), self.nothing)
        return self.join_all(frame.returns)

    @staticmethod
    def _always_none(frame: Frame) -> bool:
        return all(isinstance(v, Const) and v.value is None for v in frame.returns)

    def _bind_parameters(self, closure: Closure, scope: Scope, args: list[Value], keywords: dict[str, Value]) -> None:
        rest = list(args)
        remaining = dict(keywords)
        for parameter in closure.function.parameters:
            name = parameter.name
            if parameter.kind == "*":
                scope.names[name] = Tuple(tuple(rest), self.lattice.none)
                rest = []
            elif parameter.kind == "**":
                scope.names[name] = Dict(remaining, self.lattice.none)
                remaining = {}
            elif parameter.kind == "positional" and rest:
                scope.names[name] = rest.pop(0)
            elif name in remaining:
                scope.names[name] = remaining.pop(name)
            elif name in closure.defaults:
                scope.names[name] = closure.defaults[name]
            else:
                scope.names[name] = self.top()

    # -- classes -----------------------------------------------------------------------------------------------------

    def bases(self, cls: Value) -> tuple[Value, ...]:
        """A class and its ancestors, nearest first."""
        return cls.lineage if isinstance(cls, ClassObj) else (cls,)

    def inherits(self, cls: Value, *names: str) -> bool:
        """Whether a class descends from a library class whose dotted name ends with one of these."""
        if isinstance(cls, ClassObj):
            return cls.descends_from(*names)
        return isinstance(cls, External) and cls.name.rpartition(".")[2] in names

    def find(self, cls: Value, name: str, after: Value | None = None) -> Value | None:
        """A class attribute, looked up along the ancestors (behind ``after`` for super())."""
        skip = after is not None
        for base in self.bases(cls):
            if skip:
                skip = base is not after
                continue
            if isinstance(base, ClassObj) and name in base.attrs:
                return base.attrs[name]
        return None

    def instantiate(self, cls: ClassObj, args: list[Value], keywords: dict[str, Value]) -> Value:
        """Make an instance."""
        instance = Instance(cls, self.lattice.none)
        init = self.find(cls, "__init__")
        if init is not None:
            self.call(init, [instance, *args], keywords)
            return instance
        self._fill(instance, cls, args, keywords)
        if self.inherits(cls, "Optimizer"):
            self.call_library("torch.optim.Optimizer", [instance, *args], keywords, instance)
        return instance

    def _fill(self, instance: Instance, cls: ClassObj, args: list[Value], keywords: dict[str, Value]) -> None:
        """What the ``__init__`` that a dataclass or named tuple is given does."""
        classes = [base for base in reversed(self.bases(cls)) if isinstance(base, ClassObj)]
        fields = list(dict.fromkeys(name for base in classes for name in base.fields))
        for name in fields:
            default = self.find(cls, name)
            if isinstance(default, Bound) and _is_field(default.function):
                if "default_factory" in default.keywords:
                    instance.attrs[name] = self.call(default.keywords["default_factory"], [], {})
                elif "default" in default.keywords:
                    instance.attrs[name] = default.keywords["default"]
        for name, value in [*zip(fields, args, strict=False), *keywords.items()]:
            instance.attrs[name] = value
        post = self.find(cls, "__post_init__")
        if post is not None:
            self.call(post, [instance], {})

    def call_instance(self, instance: Instance, args: list[Value], keywords: dict[str, Value]) -> Value:
        """``instance(...)``."""
        for name in ("__call__", "forward"):
            method = self.find(instance.cls, name) or instance.attrs.get(name)
            if method is not None:
                bound = name not in instance.attrs or self.find(instance.cls, name) is not None
                if name == "__call__" and not self.inherits(instance.cls, "Module"):
                    return self.call(method, [instance, *args] if bound else args, keywords)
                self.module_calls += 1
                try:
                    result = self.call(method, [instance, *args] if bound else args, keywords)
                finally:
                    self.module_calls -= 1
                return self.hooked(args, result)
        if isinstance(instance.cls, External):
            return self.call_layer(instance, args, keywords)
        return self.call_unknown(instance, args, keywords)

    def tokens_given(self, value: Value) -> list[Affine]:
        """Positions of the tokens in ``value``, as they stand; inside a model only those of what it was given.

        A model may shift, mix and mask what it was given as it likes: its own alignment is not followed.
        """
        prov = value.prov
        if prov.flags & (P.TABLE | P.HASHED | P.OPAQUE | P.WEIGHTS) or uses.positions(prov, "masked"):
            return []
        given = {token.position for token in prov.tokens}
        for frame in self.frames:
            first = frame.first
            if frame.function is None or frame.owner is None or not isinstance(first, Instance):
                continue
            if self.inherits(first.cls, "Module"):
                known = [frame.scope.names.get(parameter.name) for parameter in frame.function.parameters]
                inputs = [{token.position for token in v.prov.tokens} for v in known if isinstance(v, Array)]
                return list(given) if given in inputs else []
        return list(given)

    def hooked(self, args: list[Value], result: Value) -> Value:
        """A module's result, after its forward hooks.

        Hooks see what went into the outermost module; hooks made by one function count once, and again only where they
        put something in the place of the result.
        """
        if not self.hooks or not args or self.module_calls:
            return result
        hooks, self.hooks = self.hooks, []
        prov = self.prov_of(args)
        value = Array(self.lattice.change(prov, tokens=(), reads=()))
        for key, hook in {(_hook_key(hook), id(value.prov)): hook for hook in hooks}.items():
            if key in self._hooked and key[0] not in self._replacing:
                continue
            self._hooked.add(key)
            returned = self.call(hook, [self.top(), Tuple((value,), self.lattice.none), result], {})
            if isinstance(returned, Array) and isinstance(result, Array):
                self._replacing.add(key[0])
                result = Array(self.lattice.union(result.prov, returned.prov), None, result.ndim)
        self.hooks = hooks
        return result

    def iterated(self, value: Value) -> Value:
        """What a loop over a value goes through: ``__iter__``, else every ``__getitem__``."""
        if not isinstance(value, Instance) or not isinstance(value.cls, ClassObj):
            return value
        method = self.find(value.cls, "__iter__")
        if method is not None:
            result = self.call(method, [value], {})
            advance = self.find(result.cls, "__next__") if isinstance(result, Instance) else None
            return result if advance is None else Seq(None, self.call(advance, [result], {}), self.lattice.none)
        getter = self.find(value.cls, "__getitem__")
        if getter is None:
            return value
        element = self.call(getter, [value, Top(self.lattice.none, self.numbers.of(("any", id(value))))], {})
        return Seq(None, element, self.lattice.none)

    # -- attributes --------------------------------------------------------------------------------------------------

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

    # -- to be modelled by the library -------------------------------------------------------------------------------

    def call_library(self, name: str, args: list[Value], keywords: dict[str, Value], owner: Value | None) -> Value:
        """Call a library function, or a method of a library value (then ``owner`` is the first argument)."""
        raise NotImplementedError

    def call_layer(self, layer: Instance, args: list[Value], keywords: dict[str, Value]) -> Value:
        """Call an instance of a library class."""
        raise NotImplementedError

    def library_attribute(self, owner: Value, name: str) -> Value:
        """An attribute of a library value."""
        raise NotImplementedError

    def external_member(self, module: str, name: str) -> Value:
        """``module.name`` of a library."""
        raise NotImplementedError

    def report(self, values: list[Value]) -> None:
        """Values are printed or logged: what a reported score carries becomes evidence."""
        self.effects += 1
        prov = self.prov_of(values)
        if not prov.flags & P.BITS or not prov.flags & P.VAL:
            return
        site = self.lattice.site
        stack = self.stack()
        self.scores.append((site, prov.flags))
        place = (*stack[-2:], site)
        self.printed[place] = None
        self.used |= {(mark.site, mark.kind) for mark in prov.marks}
        for fact in prov.facts:
            self.carried.setdefault(fact, {})[place] = None
            if fact not in self.reported or (prov.flags & P.BYTES and not self.reported[fact][2]):
                self.reported[fact] = (site, stack, bool(prov.flags & P.BYTES))


def _is_field(function: Value) -> bool:
    return isinstance(function, External) and function.name == "dataclasses.field"


def _hook_key(hook: Value) -> int:
    return id(hook.function) if isinstance(hook, Closure) else id(hook)


__all__ = ["Any", "Calls", "Program"]
