"""Statements: branches, loops, definitions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from auditor.flow import guards, ir, scaling, uses, zeros
from auditor.flow import provenance as P  # noqa: N812 - its flags are written P.VAL
from auditor.flow.comprehensions import UNROLLED
from auditor.flow.provenance import Fact, Iteration
from auditor.flow.searches import Searches
from auditor.flow.values import (
    Array,
    ClassObj,
    Const,
    Dict,
    External,
    Instance,
    Obj,
    Scope,
    Seq,
    Top,
    Tuple,
    Union,
    Value,
)


class Interpreter(Searches):
    """The whole interpreter."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._statements: dict[type, Callable[[Any], bool]] = {
            ir.Evaluate: self._evaluate, ir.Assign: self._assign, ir.AugAssign: self._augmented,
            ir.Return: self._return, ir.Jump: self._jump, ir.If: self._if, ir.Loop: self._loop, ir.Try: self._try,
            ir.With: self._with, ir.Function: self._function, ir.Class: self._class, ir.Import: self._import,
            ir.Delete: self._delete, ir.Match: self._match,
        }  # fmt: skip
        self._restoring: dict[int, set[ir.Stmt]] = {}
        self._kept: list[list[ir.Stmt]] = []
        """Blocks, so that the identities above stay unique."""
        self._undone: dict[ir.If, list[tuple[ir.If, list[ir.Expr]]]] = {}
        self._assumed: dict[ir.If, bool] = {}

    def block(self, body: list[ir.Stmt]) -> bool:
        """Run statements; whether the path goes on after them."""
        restoring = self._restoring.get(id(body))
        if restoring is None:
            restoring = self._restoring[id(body)] = guards.restorations(body)
            self._kept.append(body)
        for k, statement in enumerate(body):
            self.at(statement)
            if restoring and isinstance(statement, ir.If):
                if statement not in self._undone:
                    self._undone[statement] = guards.undone(statement, body[k + 1 :], restoring)
                if self._undone[statement]:
                    return self._through(statement, body[k + 1 :])
            if not self._statements[type(statement)](statement):
                return False
        return True

    def _through(self, node: ir.If, rest: list[ir.Stmt]) -> bool:
        """A branch, and what comes after it, by each of its ways, where a later branch undoes what this one did."""
        open_ = [part for part in guards.conjuncts(node.test) if self.truth(self.eval(part)) is None]
        test = self.eval(node.test)
        asked = bool(test.prov.flags & P.GOLD_COMPARED or uses.positions(test.prov, "look", "gate", "likely"))
        if len(open_) != 1 or asked or self.truth(test) is not None:
            return self._if(node) and self.block(rest)
        undoing = [
            later
            for later, parts in self._undone[node]
            if any(guards.alike(part, open_[0]) for part in parts)
            and all(self.truth(self.eval(p)) for p in guards.conjuncts(later.test) if not guards.alike(p, open_[0]))
        ]

        def side(truth: bool) -> bool:
            before = self._assumed
            self._assumed = {**before, **dict.fromkeys(undoing, truth)}
            try:
                return self._side(node, truth) and self.block(rest)
            finally:
                self._assumed = before

        return self.fork(lambda: side(True), lambda: side(False))

    def _evaluate(self, node: ir.Evaluate) -> bool:
        value = self.eval(node.value)
        return not (isinstance(value, External) and value.name == "never")

    def _assign(self, node: ir.Assign) -> bool:
        value = self.eval(node.value)
        for target in node.targets:
            self.store(target, value)
        return True

    def _augmented(self, node: ir.AugAssign) -> bool:
        right = self.eval(node.value)
        self.at(node)
        if isinstance(node.target, ir.Subscript):
            owner, index = self.eval(node.target.value), self.eval(node.target.index)
            old = self.load_item(owner, index, reading=False)
            self.store_item(owner, index, self.binary(node.op, old, right), accumulate=True)
            return True
        old = self.eval(node.target)
        if isinstance(old, Array):
            result = self.accumulated(node.op, old, right)
            if self.write(old, result.prov) and not isinstance(node.target, ir.Name):
                return True
            if old.role or old.base is not None:
                return True
            if isinstance(result, Array):
                result.start = result.stop = None
            self.store(node.target, self.with_prov(old, result.prov) if not isinstance(result, Array) else result)
            return True
        if isinstance(old, Seq) and node.op == "+":
            self.extend(old, right)
            return True
        value = self.accumulated(node.op, old, right)
        if isinstance(value, Const) and any(loop.abstract for loop in self.loops):
            value = Top(
                self.lattice.change(value.prov, deps=value.prov.deps | self.impure_deps()), self.numbers.fresh()
            )
        self.store(node.target, value)
        return True

    def accumulated(self, op: str, old: Value, right: Value) -> Value:
        """``old op= right``: a sum of scores does not bring their regions and learned state together."""
        if op in "+-" and right.prov.uses and right.prov.flags & P.NLL:
            if uses.scored(old.prov) & uses.scored(right.prov):  # one more part of the same token's score
                right = self.with_prov(right, scaling.unscaled(self.lattice, right.prov))
                old = self.with_prov(old, scaling.mixed(self.lattice, right.prov, old.prov, old.prov))
            right = self.settled(right)
        if op in "+-" and (old.prov.regions or old.prov.marks) and (right.prov.regions or right.prov.marks):
            prov = self.lattice.merge(old.prov, self.deep(right))
            if isinstance(old, Array):
                return Array(prov, None, old.ndim)
            return Top(prov, self.numbers.fresh())
        return self.binary(op, old, right)

    def _return(self, node: ir.Return) -> bool:
        frame = self.frames[-1]
        frame.returns.append(self.eval(node.value) if node.value is not None else self.nothing)
        if self.heap.depth > frame.depth:
            frame.exits.append(self.heap.since(frame.depth))
        return False

    def _jump(self, node: ir.Jump) -> bool:
        if node.kind == "raise" or not self.loops:
            return False
        loop = self.loops[-1]
        states = self.heap.since(loop.depth)
        (loop.breaks if node.kind == "break" else loop.continues).append(states)
        return False

    # -- branches ----------------------------------------------------------------------------------------------------

    def _if(self, node: ir.If) -> bool:
        test = self.eval(node.test)
        truth = self._assumed.get(node, self.truth(test))
        if truth is None and self.is_main_guard(node.test):
            truth = True
        last = node.body[-1] if node.body else None  # a lone assertion lowers to nothing
        if truth and isinstance(last, ir.Jump) and last.kind == "raise":
            truth = False  # the submission was run: its checks passed
        if truth is not None:
            if self.is_setting(test) and self.witness.ran(node.body) != self.witness.ran(node.orelse):
                truth = self.witness.ran(node.body)
            self.note_branch(node, truth)
            if self.all_flags and not truth and self.is_setting(test):
                return self.fork(lambda: self.block(node.body), lambda: self.block(node.orelse))
            return self.block(node.body if truth else node.orelse)
        oracle = None
        if test.prov.flags & P.GOLD_COMPARED:
            oracle = Fact(
                "oracle", self.lattice.site, ((self.lattice.site, "two scores of the same token are compared"),)
            )

        gates = uses.gate(self.lattice, test.prov)
        here = self.lattice.site
        found = self.search(test.prov) if self.loops and test.prov.flags & P.RANKED else None

        def side(truth: bool) -> bool:
            run = functools.partial(self._side, node, truth)
            return run() if found is None else self.under(found, run)

        def joined(a: dict[Obj, Any], b: dict[Obj, Any]) -> None:
            if oracle is not None:
                self._mark_choice(a, b, oracle)
            if oracle is not None or uses.positions(gates, "gate", "likely"):
                self.lattice.site = here  # it is the condition that decides
                self._mark_chosen(test, _assigned([*node.body, *node.orelse]), a, b)
            if found is not None:
                self.mark_kept(found, a)
                self.mark_kept(found, b)

        tests = self.frames[-1].tests
        around = len(tests)
        tests.append(test.prov.deps)
        goes_on = self.fork(lambda: side(True), lambda: side(False), joined)
        if not (isinstance(last, ir.Jump) and last.kind == "continue"):
            del tests[around:]  # else the rest of the iteration is under the condition, too
        return goes_on

    def append(self, seq: Seq, value: Value) -> None:
        """Add an element; one that was picked out by where a loop stands is another in its other iterations."""
        chosen: set[Iteration] = set()
        for deps in self.frames[-1].tests:
            around = {loop.iteration for loop in self.loops if loop.birth < seq.birth}
            if deps - around:  # compares what runs inside, such as a position, with what the loops around say
                chosen |= deps & around
        by = self.lattice.make(deps=frozenset(chosen))
        super().append(seq, self.depending(value, by) if chosen else value)

    def _side(self, node: ir.If, truth: bool) -> bool:
        """One side of a branch, knowing what its condition says there."""
        before = self.nonzero
        self.nonzero = before | zeros.nonzero(self, node.test, truth)
        try:
            return self.block(node.body if truth else node.orelse)
        finally:
            self.nonzero = before

    def _mark_choice(self, a: dict[Obj, Any], b: dict[Obj, Any], fact: Fact) -> None:
        """Variables that a comparison of two gold scores has chosen carry that fact."""
        for states in (a, b):
            for obj, state in states.items():
                names = state if isinstance(obj, Scope) else None
                for name, value in (names or {}).items():
                    before = obj.names.get(name) if isinstance(obj, Scope) else None
                    if value is not before and value.prov.flags & P.NLL and not value.prov.flags & P.SUMMED:
                        names[name] = self.add_facts(value, [fact])  # type: ignore[index]  # a Scope's state is a dict
                if isinstance(obj, Array) and state[0].flags & P.NLL:
                    prov = self.lattice.change(state[0], facts=state[0].facts | {fact})
                    states[obj] = (prov, *state[1:])

    def _mark_chosen(self, test: Value, names: set[str], a: dict[Obj, Any], b: dict[Obj, Any]) -> None:
        """Numbers that one side of a branch assigned depend on its condition; sums that it adds to do not."""
        for states, others in ((a, b), (b, a)):
            for obj, state in states.items():
                if not isinstance(obj, Scope):
                    continue
                alternative = others.get(obj, obj.names)
                for name in names & state.keys():
                    value, other = state[name], alternative.get(name)
                    number = isinstance(value, Top | Array) or (isinstance(value, Const) and _number(value))
                    if value is not other and other is not None and number and not value.prov.flags & P.BYTES:
                        state[name] = self.chosen(test, value, value, other)

    def _match(self, node: ir.Match) -> bool:
        self.eval(node.subject)
        goes_on = True
        for case in node.cases:
            goes_on = self.fork(lambda case=case: self.block(case), lambda: True)  # type: ignore[misc]  # mypy: default
        return goes_on

    def _try(self, node: ir.Try) -> bool:
        goes_on = self.block(node.body)
        if goes_on:
            goes_on = self.block(node.orelse)
        elif self.frames and not self.frames[-1].returns and node.handlers:
            goes_on = self.block(node.handlers[0][2])
        if node.final:
            goes_on = self.block(node.final) and goes_on
        return goes_on

    def _with(self, node: ir.With) -> bool:
        for context, target in node.items:
            value = self.eval(context)
            if isinstance(value, Instance) and isinstance(value.cls, ClassObj):
                enter = self.attribute(value, "__enter__")
                if not isinstance(enter, Top):
                    value = self.call(enter, [], {})
            if target is not None:
                self.store(target, value)
        return self.block(node.body)

    # -- definitions -------------------------------------------------------------------------------------------------

    def _function(self, node: ir.Function) -> bool:
        value: Value = self.closure(node)
        for decorator in reversed(node.decorators):
            value = self.decorate(self.eval(decorator), value)
        self.bind(node.name, value)
        return True

    def _class(self, node: ir.Class) -> bool:
        bases = [self.eval(base) for base in node.bases if not isinstance(base, ir.Starred)]
        scope = Scope(self.frames[-1].scope, self.file, self.lattice.none)
        cls = ClassObj(node.name, bases, scope.names, node.fields, self.lattice.none)
        self.run_in(scope, node.body, cls)
        cls.attrs = scope.names
        value: Value = cls
        for decorator in reversed(node.decorators):
            value = self.decorate(self.eval(decorator), value)
        self.bind(node.name, value)
        return True

    def _import(self, node: ir.Import) -> bool:
        for dotted, bound in node.names:
            if node.module is None:
                local = self.program.module(dotted, self.file)
                if local is not None:
                    self.bind(bound or dotted.split(".")[0], self.import_file(local))
                else:
                    self.bind(
                        bound or dotted.split(".")[0],
                        External(dotted if bound else dotted.split(".")[0], self.lattice.none),
                    )
                continue
            local = self.program.module(node.module, self.file)
            if local is None:
                if dotted != "*":
                    self.bind(bound or dotted, self.external_member(node.module, dotted))
                continue
            scope = self.import_file(local)
            if dotted == "*":
                self.heap.touch(self.frames[-1].scope)
                self.frames[-1].scope.names.update(scope.names)
            elif dotted in scope.names:
                self.bind(bound or dotted, scope.names[dotted])
            else:
                self.bind(bound or dotted, Top(self.lattice.none))
        return True

    def _delete(self, node: ir.Delete) -> bool:
        for target in node.targets:
            if isinstance(target, ir.Name):
                scope = self.frames[-1].scope
                if target.id in scope.names:
                    self.heap.touch(scope)
                    scope.names = {k: v for k, v in scope.names.items() if k != target.id}
            elif isinstance(target, ir.Subscript):
                owner = self.eval(target.value)
                if isinstance(owner, Seq):
                    self.summarise(owner)
        return True

    def known_items(self, value: Value) -> list[Value] | None:
        """The elements of an iterable whose length is known."""
        if isinstance(value, Tuple):
            return list(value.items)
        if isinstance(value, Seq):
            return list(value.items) if value.items is not None else None
        if isinstance(value, Dict) and value.key is None:
            return [self.const(key) for key in value.known]
        if isinstance(value, Union):
            several = [self.known_items(v) for v in value.items if not (isinstance(v, Const) and v.value is None)]
            return several[0] if len(several) == 1 else None
        if isinstance(value, Const) and isinstance(value.value, str | bytes):
            return [self.const(c) for c in value.value] if len(value.value) <= UNROLLED else None
        return None


def _assigned(body: list[ir.Stmt]) -> set[str]:
    """Names that statements bind, augmented assignments and inner blocks apart."""
    targets = [target for node in body if isinstance(node, ir.Assign) for target in node.targets]
    return {target.id for target in targets if isinstance(target, ir.Name)}


def _number(value: Const) -> bool:
    return isinstance(value.value, int | float)
