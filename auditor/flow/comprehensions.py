"""Comprehensions: loops inside expressions."""

from __future__ import annotations

from auditor.flow import ir
from auditor.flow.operators import Operators
from auditor.flow.provenance import Iteration, live
from auditor.flow.values import Const, Dict, Instance, Scope, Seq, Top, Value

UNROLLED = 3
"""Loops with a known number of iterations up to this are run as they are; others stand for two iterations."""


class Comprehensions(Operators):
    """Evaluates comprehensions."""

    def iterated(self, value: Value) -> Value:
        """What a loop over a value goes through: an object of the program says by its own methods."""
        raise NotImplementedError

    def _comprehension(self, node: ir.Comprehension) -> Value:
        frame = self.frames[-1]
        outer = frame.scope
        frame.scope = Scope(outer, outer.file, self.lattice.none)
        collected: list[Value] = []
        keys: list[Value] = []
        owner = object()
        opened: list[Iteration] = []
        chosen: set[Iteration] = set()

        def any_element(element: Value, depth: int) -> Value:
            iteration = Iteration(owner)
            opened.append(iteration)
            return self.refine(element, frozenset((iteration,)), -1 - depth)

        def run(depth: int) -> bool:
            """Bind the clauses from ``depth`` on; whether the number of elements stays known."""
            if depth == len(node.clauses):
                if node.key is not None:
                    keys.append(self.eval(node.key))
                collected.append(self.eval(node.element))
                return True
            target, iterable_node, conditions = node.clauses[depth]
            iterable = self.iterated(self.eval(iterable_node))
            items = self.known_items(iterable)
            exact = items is not None and len(items) <= 24
            if items is None or not exact:
                items = [any_element(self.elements(iterable), depth)]
            for position, item in enumerate(items):
                self.store(target, item)
                tests = [self.eval(condition) for condition in conditions]
                chosen.update(*(test.prov.deps for test in tests if not test.prov.deps.isdisjoint(opened)))
                truths = [self.truth(test) for test in tests]
                if False in truths:
                    continue
                exact = exact and None not in truths
                exact = run(depth + 1) and exact
                if exact and not position and _stack_of_layers(items, collected):
                    collected.clear()
                    self.store(target, any_element(Top(item.prov, self.numbers.fresh()), depth))
                    run(depth + 1)
                    return False
            return exact

        try:
            exact = run(0)
        finally:
            frame.scope = outer
            for iteration in opened:
                iteration.end()
        none = self.lattice.none
        if any(iteration.open for iteration in chosen):
            # Which elements there are hangs on the loops around: their other iterations choose others.
            by = self.lattice.make(deps=live(frozenset(chosen)))
            collected = [self.depending(value, by) for value in collected]
        if node.kind == "dict":
            result = Dict({}, none)
            for key, value in zip(keys, collected, strict=False):
                self.store_item(result, key if exact else Top(self.deep(key)), value)
            return result
        if exact:
            return Seq(collected, None, none, node.kind)
        return Seq(None, self.join_all(collected) if collected else None, none, node.kind)


def _stack_of_layers(items: list[Value], made: list[Value]) -> bool:
    """Whether a comprehension counts objects that differ in their number only; one then stands for all.

    A model's layers are alike for the flow of data, and following each would multiply every forward pass.
    """
    numbered = len(items) > UNROLLED and all(isinstance(i, Const) and isinstance(i.value, int) for i in items)
    return numbered and len(made) == 1 and isinstance(made[0], Instance)
