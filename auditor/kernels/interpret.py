"""Statements: order, branches and loops.

The body of the loop that walks the positions is interpreted with nothing tainted, since whatever earlier iterations
left behind is prefix. A token read at a later offset stays in the state for the next iteration, one offset nearer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from auditor.kernels import ir
from auditor.kernels.expressions import Evaluator, Frame, truth
from auditor.kernels.linear import HERE, Linear, Range, symbol
from auditor.kernels.state import CLEAN, State, Taint, Value, join, step

_ROUNDS = 4


@dataclass
class _Jumps:
    """States that jumped out of the innermost loop, and of the function."""

    again: list[State] = field(default_factory=list)
    out: list[State] = field(default_factory=list)


@dataclass
class Interpreter(Evaluator):
    """Interprets one function around one of its loops.

    Attributes:
        position_loop: the loop that walks the positions.
        harvest: told the state at the end of each of its iterations.
    """

    position_loop: ir.Loop | None = None
    harvest: Callable[[State], None] = lambda state: None
    jumps: list[_Jumps] = field(default_factory=list)
    returns: list[list[tuple[State, Value]]] = field(default_factory=list)

    def run(self, function: ir.Function, frame: Frame) -> None:
        """Interpret a function from its beginning."""
        self.returns.append([])
        self.block(function.body, State(), frame)
        self.returns.pop()

    def body_of(self, function: ir.Function, state: State, frame: Frame) -> tuple[State, Value]:
        """A called function: the state after it, and what it returns."""
        self.returns.append([])
        kept, self.jumps = self.jumps, [_Jumps()]
        before = self.sticky_loop, self.sticky_function
        end = self.block(function.body, state, frame)
        self.sticky_loop, self.sticky_function = before
        self.jumps = kept
        ends = self.returns.pop()
        states = [s for s, _ in ends] + ([end] if end is not None else [])
        values = [value for _, value in ends]
        after = _merged(states) or state
        if not values:
            return after, Value()
        places = {value.place for value in values}
        first = values[0]
        taint = join(*(value.taint for value in values))
        number = first.number if all(value.number == first.number for value in values) else None
        return after, Value(taint, number, first.place if len(places) == 1 else "")

    def block(self, statements: tuple[ir.Stmt, ...], state: State | None, frame: Frame) -> State | None:
        """The state after some statements; None when they never end there."""
        for statement in statements:
            if state is None:
                return None
            self.spend()
            state = self.statement(statement, state, frame)
        return state

    def statement(self, statement: ir.Stmt, state: State, frame: Frame) -> State | None:
        """The state after one statement."""
        match statement:
            case ir.Evaluate(value):
                self.evaluate(value, state, frame)
            case ir.Declare():
                self.declare(statement, state, frame)
            case ir.If():
                return self._if(statement, state, frame)
            case ir.Loop():
                return self._loop(statement, state, frame)
            case ir.Switch():
                return self._switch(statement, state, frame)
            case ir.Jump(kind, value, line):
                self._jump(kind, value, line, state, frame)
                return None
        return state

    def _jump(self, kind: str, value: ir.Expr | None, line: int, state: State, frame: Frame) -> None:
        if kind in {"break", "continue"} and self.jumps:
            target = self.jumps[-1]
            (target.out if kind == "break" else target.again).append(state)
        elif kind == "return":
            result = self.evaluate(value, state, frame) if value is not None else Value()
            taint = join(result.taint, self.control)
            self.returns[-1].append((state, Value(step(taint, line, "returned"), result.number, result.place)))

    def _if(self, statement: ir.If, state: State, frame: Frame) -> State | None:
        test = self.evaluate(statement.test, state, frame)
        decided = truth(test)
        if decided is not None:
            taken = statement.then if decided else statement.otherwise
            return self.block(taken, state, frame)
        branch = step(test.taint, statement.line, "decides this branch")
        other = state.copy()
        with self.under(branch):
            then, otherwise = self._either((statement.then, state), (statement.otherwise, other), frame)
        if branch:
            kinds = {*jumps_in(statement.then), *jumps_in(statement.otherwise)}
            if kinds & {"return", "goto"}:
                self.sticky_function = join(self.sticky_function, branch)
            if kinds & {"break", "continue"}:
                self.sticky_loop = join(self.sticky_loop, branch)
        return _merged([s for s in (then, otherwise) if s is not None])

    def _either(
        self, first: tuple[tuple[ir.Stmt, ...], State], second: tuple[tuple[ir.Stmt, ...], State], frame: Frame
    ) -> list[State | None]:
        """The states after two branches; what one left open by jumping out concerns only what follows both."""
        loop, function = self.sticky_loop, self.sticky_function
        ends, sticky = [], []
        for statements, state in (first, second):
            self.sticky_loop, self.sticky_function = loop, function
            ends.append(self.block(statements, state, frame))
            sticky.append((self.sticky_loop, self.sticky_function))
        self.sticky_loop = join(*(taint for taint, _ in sticky))
        self.sticky_function = join(*(taint for _, taint in sticky))
        return ends

    def _switch(self, statement: ir.Switch, state: State, frame: Frame) -> State | None:
        test = self.evaluate(statement.test, state, frame)
        branch = step(test.taint, statement.line, "decides which case runs")
        self.jumps.append(_Jumps(again=self.jumps[-1].again if self.jumps else []))
        ends = [state]
        running: State | None = None
        with self.under(branch):
            for case in statement.cases:
                entered = state.copy()
                if running is not None:
                    entered.merge(running)
                running = self.block(case, entered, frame)
        ends += [running] if running is not None else []
        ends += self.jumps.pop().out
        if branch and any(jumps_in(case) for case in statement.cases):
            self.sticky_loop = join(self.sticky_loop, branch)
        return _merged(ends)

    def _loop(self, loop: ir.Loop, state: State, frame: Frame) -> State | None:
        before = self.block(loop.start, state, frame)
        if before is None:
            return None
        walking = loop is self.position_loop and not self.in_loop
        counters = counters_of(loop)
        if walking:
            self.in_loop = True
            before.taints.clear()
            self._here(counters, before, frame)
        else:
            self._bounds(loop, counters, before, frame)
        kept = self.sticky_loop
        entry, exits = before, [before.copy()]
        for _ in range(_ROUNDS):
            self.jumps.append(_Jumps())
            if walking:
                self.sticky_loop, self.sticky_function = CLEAN, CLEAN
            end = self._iteration(loop, entry.copy(), frame)
            jumps = self.jumps.pop()
            exits += jumps.out
            if end is not None and walking:
                self.harvest(end)
                end.next_iteration()
            if end is None or entry.covers(end):
                break
            entry.merge(end)
        exits.append(entry)
        if walking:
            self.in_loop = False
        self.sticky_loop = kept
        return _merged(exits)

    def _iteration(self, loop: ir.Loop, state: State, frame: Frame) -> State | None:
        test = self.evaluate(loop.test, state, frame) if loop.test is not None else Value()
        if loop.test is not None and truth(test) is False:
            return None
        with self.under(step(test.taint, loop.line, "decides how often this loop runs")):
            end = self.block(loop.body, state, frame)
            after = _merged([*self.jumps[-1].again, *([end] if end is not None else [])])
            if after is not None and loop.step is not None:
                self.evaluate(loop.step, after, frame)
        return after

    def _here(self, counters: dict[str, int], state: State, frame: Frame) -> None:
        """Every variable that counts along with the loop is at the position, up to where it began."""
        begins = {}
        for name in counters:
            key = frame.key(name)
            number = state.numbers.get(key)
            begins[key] = number.constant if number is not None and number.is_constant else 0
        first = next(iter(begins.values()), 0)
        for key, begin in begins.items():
            state.numbers[key] = Linear(begin - first, {HERE: 1})

    def _bounds(self, loop: ir.Loop, counters: dict[str, int], state: State, frame: Frame) -> None:
        """What is known of the counter of an inner loop: where it began, and what its test says."""
        test = loop.test
        for name, direction in counters.items():
            key = frame.key(name)
            began = state.numbers.get(key)
            limit = None
            if isinstance(test, ir.Operation) and len(test.operands) == 2 and _is_name(test.operands[0], name):
                end = self.evaluate(test.operands[1], state, frame).number
                strict = {"<": -1, "!=": -1, ">": 1}.get(test.operator, 0)
                limit = end.plus(Linear(strict)) if end is not None else None
            fresh = self.fresh_symbol()
            self.ranges[fresh] = Range(began, limit) if direction > 0 else Range(limit, began)
            state.numbers[key] = symbol(fresh)

    @contextlib.contextmanager
    def under(self, taint: Taint) -> Iterator[None]:
        """Statements that run only because of a branch depend on it."""
        kept = self.branch
        self.branch = join(self.branch, taint)
        yield
        self.branch = kept


def _merged(states: list[State]) -> State | None:
    if not states:
        return None
    first = states[0]
    for other in states[1:]:
        if other is not first:
            first.merge(other)
    return first


def _is_name(node: ir.Expr, name: str) -> bool:
    return isinstance(node, ir.Name) and node.id == name


def jumps_in(statements: tuple[ir.Stmt, ...]) -> set[str]:
    """Kinds of jumps that leave some statements."""
    out: set[str] = set()
    for statement in statements:
        match statement:
            case ir.Jump(kind):
                out.add(kind)
            case ir.If(_, then, otherwise):
                out |= jumps_in(then) | jumps_in(otherwise)
            case ir.Loop(_, _, _, body):
                out |= jumps_in(body) - {"break", "continue"}
            case ir.Switch(_, cases):
                for case in cases:
                    out |= jumps_in(case) - {"break"}
    return out


def counters_of(loop: ir.Loop) -> dict[str, int]:
    """Variables that a loop moves by one each time: name -> 1 or -1."""
    moves: dict[str, set[int]] = {}
    roots: list[ir.Expr] = [*([loop.step] if loop.step is not None else []), *([loop.test] if loop.test else [])]
    roots += [expr for statement in loop.body for expr in expressions_in(statement)]
    while roots:
        expr = roots.pop()
        roots.extend(children(expr))
        if isinstance(expr, ir.Assign) and isinstance(expr.target, ir.Name):
            by_one = expr.operator in {"+", "-"} and expr.value == ir.Number(1)
            moves.setdefault(expr.target.id, set()).add((1 if expr.operator == "+" else -1) if by_one else 0)
    declared = {s.name for s in loop.body if isinstance(s, ir.Declare)}
    out = {name: found.pop() for name, found in moves.items() if len(found) == 1 and 0 not in found}
    ordered = sorted(out.items(), key=lambda item: not _starts(loop, item[0]))
    return {name: direction for name, direction in ordered if name not in declared}


def _starts(loop: ir.Loop, name: str) -> bool:
    return any(isinstance(s, ir.Declare) and s.name == name for s in loop.start)


def expressions_in(statement: ir.Stmt) -> Iterator[ir.Expr]:
    """Expressions of a statement and of the statements in it."""
    match statement:
        case ir.Evaluate(value):
            yield value
        case ir.Declare(_, value) | ir.Jump(_, value):
            if value is not None:
                yield value
        case ir.If(test, then, otherwise):
            yield test
            for inner in (*then, *otherwise):
                yield from expressions_in(inner)
        case ir.Switch(test, cases):
            yield test
            for case in cases:
                for inner in case:
                    yield from expressions_in(inner)
        case ir.Loop(start, loop_test, moved, body):
            yield from (part for part in (loop_test, moved) if part is not None)
            for inner in (*start, *body):
                yield from expressions_in(inner)


def children(expr: ir.Expr) -> tuple[ir.Expr, ...]:
    """Direct parts of an expression."""
    match expr:
        case ir.Index(base, index):
            return (base, index)
        case ir.Field(base) | ir.Address(base):
            return (base,)
        case ir.Call(_, arguments, _, receiver):
            return (*arguments, *([receiver] if receiver is not None else []))
        case ir.Operation(_, operands):
            return operands
        case ir.Assign(target, _, value):
            return (target, value)
        case _:
            return ()
