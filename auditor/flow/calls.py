"""Calls: functions of the program, imports of its files, and what it reports."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Protocol

from auditor.flow import ir
from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.attributes import Attributes
from auditor.flow.classes import is_field
from auditor.flow.engine import MAX_ITEMS, Frame
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
    Scope,
    Seq,
    Top,
    Tuple,
    Union,
    Value,
)
from auditor.flow.witness import Witness

if TYPE_CHECKING:
    from auditor.kernels import Spread

MAX_DEPTH = 40


class Program(Protocol):
    """The files that the interpretation may enter."""

    def module(self, dotted: str, importer: str) -> str | None:
        """The file of a module of the submission, None for a library."""

    def load(self, file: str) -> ir.Module | None:
        """A file, lowered; None where it cannot be parsed."""


class Calls(Attributes):
    """Calls and imports. ``library`` models what the program imports."""

    def __init__(
        self,
        program: Program,
        environment: Mapping[str, str],
        logged: Mapping[str, str],
        budget: int,
        all_flags: bool = False,
        witness: Witness = Witness((), ()),  # noqa: B008 - says nothing, and keeps nothing
        spreading: Collection[Spread] = (),
    ) -> None:
        super().__init__(budget)
        self.program = program
        self.witness = witness
        self.spreading = spreading
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
        self.fetched: list[Site] = []
        """Where data sets were fetched by name."""
        self.elsewhere: dict[Site, tuple[list[Site], tuple[Site, ...]]] = {}
        """Where scores of their text are printed: the last fetch before, and the calls on the way."""
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

    # -- running -------------------------------------------------------------------------------------------------------

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
            if is_field(function):
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

    def opaque_call(self, args: list[Value], keywords: dict[str, Value], why: str, name: str = "") -> Value:
        """Compiled code: whatever goes in may come out, through the result and through every array argument.

        The function's ``name`` leads to what its source says of losses.
        """
        values = [*args, *keywords.values()]
        prov = self.lattice.flagged(self.prov_of(values), P.OPAQUE)
        known = [s for s in self.spreading if s.function == name and s.parameter < len(args)]
        found = [self._spread(s) for s in known if args[s.parameter].prov.flags & P.NLL]
        flags = prov.flags | P.BITS if found else prov.flags  # compiled code that mixes scores also says in which unit
        # Which tokens an element of what a compiled function writes depends on is not known: only what it read from is.
        regions = () if name else prov.regions
        facts = prov.facts | frozenset(found)
        prov = self.lattice.change(prov, flags=flags, regions=regions, tokens=(), reads=(), facts=facts)
        for value in values:
            if isinstance(value, Array) and not value.role and not value.prov.flags & P.VAL:
                self.write(value, prov)
        self.opaque.setdefault(self.lattice.site, why)
        return Top(prov)

    def _spread(self, spread: Spread) -> Fact:
        call = (self.lattice.site, "losses are handed to compiled code")
        steps = (call, *((Site(step.file, step.line), step.why) for step in spread.path))
        return Fact("byte-spread", steps[-1][0], steps)

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

    def report(self, values: list[Value]) -> None:
        """Values are printed or logged: what a reported score carries becomes evidence."""
        self.effects += 1
        prov = self.prov_of(values)
        if not prov.flags & P.BITS or not prov.flags & P.VAL:
            if prov.flags & P.BITS and prov.flags & P.NLL and prov.flags & P.FETCHED:
                self.elsewhere.setdefault(self.lattice.site, (self.fetched[-1:], self.stack()))
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
