"""Loops: run as they are where they are short, else twice for any number of iterations."""

from __future__ import annotations

from typing import Any

from auditor.flow import ir
from auditor.flow.calls import Calls
from auditor.flow.comprehensions import UNROLLED
from auditor.flow.engine import Running
from auditor.flow.operators import is_large
from auditor.flow.provenance import NO_DEPS, VAL, Deps, Iteration, Provenance, live
from auditor.flow.values import Const, Obj, Top, Tuple, Value


class Loops(Calls):
    """``for`` and ``while``."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._windowed: dict[int, bool] = {}

    def _loop(self, node: ir.Loop) -> bool:
        if node.target is None:
            return self._while(node)
        iterable = self.iterated(self.eval(node.iterable))
        items = self.known_items(iterable)
        if items is not None and not items:
            return self.block(node.orelse)
        layers = self._counts_layers(node, items)
        light = layers or (items is not None and all(isinstance(item, Const | Top) for item in items))
        if items is not None and (len(items) <= UNROLLED or not light):
            return self._iterate(node, items[:24], abstract=False)
        element = self.elements(iterable)
        if isinstance(element, Const):
            element = Top(element.prov, self.numbers.of(("any", repr(element.value))))
        return self._iterate(node, [element, element], abstract=True, layers=layers)

    def _counts_layers(self, node: ir.Loop, items: list[Value] | None) -> bool:
        """Whether a loop counts the layers of a module, so that its iterations are about the same data.

        It stands in a method of a module that holds no more of the stream than one window, goes through numbers or
        ``range(self.something)``, cuts nothing by what it counts, and learns nothing.
        """
        if not self.in_module():
            return False
        if items is None:
            counted = node.iterable
            if not isinstance(counted, ir.Call) or not isinstance(counted.func, ir.Name) or counted.func.id != "range":
                return False
            if not all(isinstance(bound, ir.Attribute | ir.Constant) for bound in counted.args):
                return False
        elif not all(_counts(item) for item in items):
            return False
        if any(_is_stream(value.prov) for value in self.frames[-1].scope.names.values()):
            return False
        known = self._windowed.get(id(node))
        if known is None:
            known = self._windowed[id(node)] = _is_windowed(node)
        return not known

    def _while(self, node: ir.Loop) -> bool:
        test = self.truth(self.eval(node.iterable))
        if test is False:
            return self.block(node.orelse)
        trips = self._trips(node)
        if trips is not None and trips <= UNROLLED:
            return self._iterate(node, [None] * trips, abstract=False)
        return self._iterate(node, [None, None], abstract=True)

    def _trips(self, node: ir.Loop) -> int | None:
        """How often a loop runs that counts up to a constant: ``while n < LIMIT: ...; n += 1``."""
        test = node.iterable
        if not (isinstance(test, ir.Compare) and isinstance(test.left, ir.Name) and len(test.rest) == 1):
            return None
        (relation, right), name = test.rest[0], test.left.id
        if isinstance(right, ir.Name) and right.id in node.assigned:
            return None
        changes = [s for s in node.body if isinstance(s, ir.AugAssign) and isinstance(s.target, ir.Name)]
        steps = [s.value for s in changes if isinstance(s.target, ir.Name) and s.target.id == name and s.op == "+"]
        parts = [self.eval(part) for part in (test.left, right, *steps[:1])]
        numbers = [part.value for part in parts if isinstance(part, Const) and type(part.value) is int]
        if len(steps) != 1 or len(numbers) != 3 or relation not in {"<", "<="} or numbers[2] <= 0:
            return None
        start, stop, step = numbers
        return len(range(start, stop + (relation == "<="), step))

    def _iterate(self, node: ir.Loop, items: list[Any], abstract: bool, layers: bool = False) -> bool:
        """Run a loop's body once per item.

        Args:
            node: the loop.
            items: what its target is bound to; None in a while loop.
            abstract: whether they stand for any number of iterations.
            layers: whether it counts layers, so that its iterations are not about different data.
        """
        owner = object()
        iterations = []
        running = Running(owner, Iteration(owner), abstract, Obj._counter, self.heap.depth)
        self.loops.append(running)
        goes_on = True
        tests = self.frames[-1].tests
        around = len(tests)
        try:
            for ordinal, item in enumerate(items):
                iteration = running.iteration = Iteration(owner)
                iterations.append(iteration)
                running.continues = []
                tag = NO_DEPS if layers else frozenset((iteration,))
                if abstract:
                    self._vary(node, owner, tag)
                if item is not None and node.target is not None:
                    element = self.refine(item, tag, ordinal) if abstract else self._tagged(item, tag)
                    self.store(node.target, element)
                goes_on = self.block(node.body)
                del tests[around:]
                if running.continues:
                    self.absorb(running.continues, goes_on)
                    goes_on = True
                if not goes_on:
                    break
        finally:
            self.loops.pop()
            for iteration in iterations:
                iteration.end()
        if running.breaks:
            self.absorb(running.breaks, goes_on)
            goes_on = True
        elif goes_on:
            goes_on = self.block(node.orelse)
        # A loop that returns in its first abstract iteration may also end without: the code after it is reachable.
        return goes_on or (abstract and node.target is not None)

    def _tagged(self, item: Value, tag: Deps) -> Value:
        if isinstance(item, Const | Top | Tuple):
            return self.with_prov(item, self.lattice.change(item.prov, deps=item.prov.deps | tag))
        return item

    def _vary(self, node: ir.Loop, owner: object, tag: Deps) -> None:
        """Scalars that the loop changes are unknown at its head, and depend on the iteration."""
        scope = self.frames[-1].scope
        for name, constant in node.assigned.items():
            value = scope.names.get(name)
            if isinstance(value, Const) and type(value.value) is type(constant) and value.value == constant:
                continue  # a latch that is already set: the loop can only set it again
            if isinstance(value, Top) or (isinstance(value, Const) and isinstance(value.value, int | float)):
                prov = value.prov
                deps = frozenset(d for d in prov.deps if d.loop is not owner) | tag
                self.heap.touch(scope)
                scope.names[name] = Top(self.lattice.change(prov, deps=deps), self.numbers.fresh())


def _counts(value: Value) -> bool:
    """Whether a value is made of numbers that count, and are no multipliers of a hash."""
    if isinstance(value, Tuple):
        return all(_counts(item) for item in value.items)
    return isinstance(value, Top) or (isinstance(value, Const) and isinstance(value.value, int) and not is_large(value))


def _is_stream(prov: Provenance) -> bool:
    """Whether a value is of validation tokens that no loop in progress has chosen."""
    return bool(prov.flags & VAL) and any(not live(region.deps) for region in prov.regions)


def _is_windowed(loop: ir.Loop) -> bool:
    """Whether a loop's body slices by a name that changes with the iteration, or takes steps of an optimiser."""
    for node in ir.walk(loop.body):
        if isinstance(node, ir.Slice) and any(
            isinstance(part, ir.Name) and part.id in loop.assigned for part in ir.walk([node])
        ):
            return True
        if isinstance(node, ir.Attribute) and node.attr in {"backward", "grad", "step"}:
            return True
    return False
