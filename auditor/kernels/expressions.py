"""Expressions: what a value depends on, where a pointer points, and what a call does."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.kernels import ir
from auditor.kernels.linear import HERE, Linear, Range, symbol, upper_offset
from auditor.kernels.state import CLEAN, UNBOUNDED, State, Taint, Trace, Value, join, step, tokens_in

_DEEPEST_CALL = 12
_COPIES = frozenset({"memcpy", "memmove", "memset", "strcpy", "copy_n"})
_NO_EFFECT = re.compile(
    r"(?:std::)?(?:__builtin_\w+|printf|fprintf|free|malloc|calloc|realloc|assert|abs|fabsf?|min|max|f?min|f?max|expf?"
    r"|logf?|log1pf?|log2f?|powf?|sqrtf?|floorf?|ceilf?|clamp|_mm\w+|sizeof)$"
)
_POSITIONS = re.compile(r"(?:^|_)(?:pos|position|positions|idx|indices|index|order|where|perm)_*$")
_TOKENS = re.compile(r"(?:^|_)(?:tok|tokens?|toks|targets?|stream|ids|seq|text|val|data|tgt|tgts|y)_*$")
_BOOST = re.compile(r"boost|beta|bonus", re.IGNORECASE)


def is_token_name(name: str) -> bool:
    """Whether an array by this name holds the tokens that are predicted."""
    return bool(_TOKENS.search(name))


def is_position_name(name: str) -> bool:
    """Whether an array by this name holds positions in the stream."""
    return bool(_POSITIONS.search(name))


def truth(value: Value) -> bool | None:
    """What a constant expression decides; None for anything that a variable has a part in."""
    if value.place or value.number is None or not value.number.is_constant:
        return None
    return bool(value.number.constant)


class BudgetError(Exception):
    """The function is too large to interpret."""


@dataclass
class Frame:
    """Names of one call: local name -> variable in the state."""

    prefix: str
    names: dict[str, str]
    receiver: str = ""
    caller: Frame | None = None
    """For a macro, whose other names are those of where it is used."""
    depth: int = 0

    def key(self, name: str) -> str:
        """The variable that a name means here."""
        if name in self.names:
            return self.names[name]
        if self.caller is not None:
            return self.caller.key(name)
        return f"{self.receiver}.{name}" if self.receiver else name


@dataclass
class Evaluator(ABC):
    """Evaluates expressions.

    Attributes:
        functions: functions and function-like macros by name.
        macros: object-like macros by name.
        sources: variables that hold the tokens.
        outputs: variables that are written once per position.
        constant: variables that the function never writes.
        budget: how many more nodes may be visited.
    """

    functions: Mapping[str, ir.Function]
    macros: Mapping[str, ir.Expr]
    sources: frozenset[str]
    outputs: frozenset[str]
    constant: frozenset[str] = frozenset()
    budget: int = 60_000
    ranges: dict[str, Range] = field(default_factory=dict)
    branch: Taint = field(default_factory=dict)
    sticky_loop: Taint = field(default_factory=dict)
    sticky_function: Taint = field(default_factory=dict)
    in_loop: bool = False
    furthest: int = -1
    """The furthest offset of a token that the loop reads."""
    inside: set[str] = field(default_factory=set)
    """Variables declared inside the loop: no state."""
    serial: int = 0
    problems: list[str] = field(default_factory=list)

    @abstractmethod
    def body_of(self, function: ir.Function, state: State, frame: Frame) -> tuple[State, Value]:
        """Interpret a called function."""

    @property
    def control(self) -> Taint:
        """What it depends on whether this statement runs at all."""
        return join(self.branch, self.sticky_loop, self.sticky_function)

    def spend(self) -> None:
        """Count a node."""
        self.budget -= 1
        if self.budget < 0:
            raise BudgetError

    def fresh_symbol(self) -> str:
        """A symbol of its own."""
        self.serial += 1
        return f"?{self.serial}"

    def declare(self, statement: ir.Declare, state: State, frame: Frame) -> None:
        """A local variable comes into being."""
        value = self.evaluate(statement.value, state, frame) if statement.value is not None else Value()
        if statement.reference and value.place:
            frame.names[statement.name] = value.place
            return
        key = f"{frame.prefix}#{statement.name}"
        frame.names[statement.name] = key
        if self.in_loop:
            self.inside.add(key)
        self._store(key, value, state, statement.line, strong=True)

    def evaluate(self, expr: ir.Expr, state: State, frame: Frame) -> Value:  # noqa: PLR0911 - one per kind of node
        """The value of an expression, and its effects on the state."""
        self.spend()
        match expr:
            case ir.Number(value):
                return Value(number=Linear(value) if value is not None else None)
            case ir.Name():
                return self._name(expr, state, frame)
            case ir.Index() | ir.Field():
                return self._read(expr, state, frame)
            case ir.Address(of):
                place, index, number = self._locate(of, state, frame)
                return Value(index, number, place)
            case ir.Assign():
                return self._assign(expr, state, frame)
            case ir.Call():
                return self._call(expr, state, frame)
            case ir.Operation():
                return self._operation(expr, state, frame)

    def _name(self, expr: ir.Name, state: State, frame: Frame) -> Value:
        macro = self.macros.get(expr.id)
        if macro is not None and expr.id not in frame.names:
            return self.evaluate(macro, state, frame)
        key = frame.key(expr.id)
        taint: Taint = join(state.content(key), self._consulted(key, state))
        if "#" not in key and key not in self.outputs and _BOOST.search(expr.id) and tokens_in(self.control):
            taint = {**taint, f"boost:{expr.id.strip('_')}": Trace()}
        place = state.places.get(key, key)
        if place != key or self._points(place):
            return Value(taint, state.numbers.get(key, Linear(0)), place)
        return Value(taint, state.numbers.get(key, symbol(key)), key)

    def _consulted(self, key: str, state: State) -> Taint:
        """A mark that state was read before this iteration's token went into it."""
        root = key.partition(".")[0]
        if not self.in_loop or root in self.inside or root in self.constant or tokens_in(state.content(key)):
            return CLEAN
        return {f"state:{key}": Trace()}

    def _locate(self, expr: ir.Expr, state: State, frame: Frame) -> tuple[str, Taint, Linear | None]:
        """The variable behind an lvalue, what the choice of the element depends on, and the element's index."""
        match expr:
            case ir.Name(name):
                return frame.key(name), CLEAN, Linear(0)
            case ir.Index(base, index, line):
                pointer = self.evaluate(base, state, frame)
                at = self.evaluate(index, state, frame)
                number = (
                    pointer.number.plus(at.number) if pointer.number is not None and at.number is not None else None
                )
                if not self._points(pointer.place):
                    number = at.number
                chosen = step(at.taint, line, "chooses the entry that is read")
                own = pointer.taint if isinstance(base, ir.Name | ir.Operation | ir.Assign) else CLEAN
                content = state.content(pointer.place)
                extra: Taint = {k: v for k, v in own.items() if k not in content}
                return pointer.place, join(chosen, extra), number
            case ir.Field(base, name):
                place, chosen, number = self._locate(base, state, frame)
                place = state.places.get(place, place)
                return place if "." in place else f"{place}.{name}", chosen, number
            case _:
                value = self.evaluate(expr, state, frame)
                return value.place, value.taint, value.number

    def _read(self, expr: ir.Index | ir.Field, state: State, frame: Frame) -> Value:
        place, index, number = self._locate(expr, state, frame)
        taint = join(state.content(place), index, self._consulted(place, state))
        name = place.rpartition(".")[2].rpartition("#")[2]
        if isinstance(expr, ir.Index) and _POSITIONS.search(name):
            here = number is not None and number.terms.get(HERE) == 1
            return Value(taint, number if here else symbol(f"{place}[]"), "")
        if isinstance(expr, ir.Index) and self.is_source(place) and self.in_loop:
            return Value(join(self._token(number, name, expr.line), taint))
        if isinstance(expr, ir.Index):
            # An element that is itself a pointer or a structure points into the same variable.
            fixed = number is not None and place in self.constant and HERE not in number.terms
            return Value(taint, symbol(f"{place}[{number}]") if fixed else None, place)
        return Value(taint, state.numbers.get(place, symbol(place)), state.places.get(place, place))

    def _token(self, index: Linear | None, name: str, line: int) -> Taint:
        if index is not None and index.is_constant:
            return CLEAN
        offset = upper_offset(index, self.ranges) if index is not None else None
        if offset is None:
            return {UNBOUNDED: Trace(((line, f"reads {name} where it cannot be told how far"),))}
        self.furthest = max(self.furthest, offset)
        if offset < 0:
            return CLEAN
        which = "the token of this position" if offset == 0 else f"the token {offset} further"
        return {min(offset, UNBOUNDED - 1): Trace(((line, f"reads {which} from {name}"),))}

    def _assign(self, expr: ir.Assign, state: State, frame: Frame) -> Value:
        value = self.evaluate(expr.value, state, frame)
        old = self.evaluate(expr.target, state, frame) if expr.operator else Value()
        if expr.operator:
            value = self._combine(expr.operator, old, value)
        place, index, number = self._locate(expr.target, state, frame)
        written = Value(join(value.taint, index), value.number, value.place)
        array = isinstance(expr.target, ir.Index) or _has_index(expr.target)
        root = place.partition(".")[0]
        if array and root in self.outputs and number is not None and HERE in number.terms:
            self._output(place, written, number, state, expr.line)
        elif place:
            self._store(place, written, state, expr.line, strong=not array)
        return old if expr.after else value

    def _output(self, place: str, value: Value, number: Linear, state: State, line: int) -> None:
        why = f"{place.rpartition('#')[2]} of this position is written"
        reached = join(value.taint, self.control)
        taint: Taint = {k: t.ending(line, why) if isinstance(k, int) else t for k, t in reached.items()}
        if number.terms[HERE] != 1:
            taint = join(state.taints.get(place, CLEAN), taint)
        state.taints[place] = taint
        state.written |= {place}

    def _store(self, key: str, value: Value, state: State, line: int, *, strong: bool) -> None:
        name = key.rpartition("#")[2]
        taint = step(join(value.taint, self.control), line, f"{name} depends on it")
        if tokens_in(taint) and key.partition(".")[0] not in self.inside:
            # Whoever reads this from now on consults updated state, whatever the update itself consulted.
            taint = {k: t for k, t in taint.items() if isinstance(k, int) or not k.startswith("state:")}
        state.taints[key] = taint if strong else join(state.taints.get(key, CLEAN), taint)
        number = value.number if strong else None
        if number is None:
            fresh = self.fresh_symbol()
            number = symbol(fresh)
            if self.in_loop:
                self.ranges[fresh] = Range()
        state.numbers[key] = number
        if not strong:
            return
        if value.place and value.place != key:
            state.places[key] = value.place
        else:
            state.places.pop(key, None)

    def _operation(self, expr: ir.Operation, state: State, frame: Frame) -> Value:  # noqa: PLR0911 - one per arity
        if expr.operator == "?:" and len(expr.operands) == 3:
            test, then, otherwise = (self.evaluate(part, state, frame) for part in expr.operands)
            decided = truth(test)
            if decided is not None:
                return then if decided else otherwise
            taint = join(step(test.taint, expr.line, "decides this value"), then.taint, otherwise.taint)
            same = then.number if then.number == otherwise.number else None
            return Value(taint, same, then.place if then.place == otherwise.place else "")
        values = [self.evaluate(operand, state, frame) for operand in expr.operands]
        if len(values) == 2:
            return self._combine(expr.operator, *values)
        taint = join(*(value.taint for value in values))
        number = values[0].number if len(values) == 1 else None
        if expr.operator == "-" and number is not None:
            return Value(taint, number.times(-1))
        if expr.operator == "!":
            decided = truth(values[0])
            return Value(taint, Linear(int(not decided)) if decided is not None else None)
        if expr.operator == "," and values:
            return Value(taint, values[-1].number, values[-1].place)
        return Value(taint)

    def _combine(self, operator: str, left: Value, right: Value) -> Value:
        """A binary operator; a constant that decides ``&&`` and ``||`` leaves no dependency."""
        decided = (truth(left), truth(right))
        if operator in {"&&", "*", "&"} and False in decided:
            return Value(number=Linear(0))
        if operator == "||" and True in decided:
            return Value(number=Linear(1))
        taint = join(left.taint, right.taint)
        number = None
        if left.number is not None and right.number is not None:
            if operator in {"+", "-"}:
                number = left.number.plus(right.number, 1 if operator == "+" else -1)
            elif operator == "*" and left.number.is_constant:
                number = right.number.times(left.number.constant)
            elif operator == "*" and right.number.is_constant:
                number = left.number.times(right.number.constant)
        pointer = left.place if operator in {"+", "-"} and self._points(left.place) else ""
        if not pointer and operator == "+" and self._points(right.place):
            pointer = right.place
        return Value(taint, number, pointer)

    def _points(self, place: str) -> bool:
        return place in self.outputs or self.is_source(place)

    def is_source(self, place: str) -> bool:
        """Whether a variable holds the tokens: one that was named so, or a field by such a name."""
        return place in self.sources or ("." in place and is_token_name(place.rpartition(".")[2]))

    def _call(self, expr: ir.Call, state: State, frame: Frame) -> Value:
        function = self.functions.get(expr.function)
        receiver = ""
        if expr.receiver is not None:
            receiver, _, _ = self._locate(expr.receiver, state, frame)
            receiver = "" if receiver in {"this", frame.receiver} else state.places.get(receiver, receiver)
        if function is None or frame.depth >= _DEEPEST_CALL:
            return self._unknown(expr, receiver, state, frame)
        self.problems.extend(problem for problem in function.problems if problem not in self.problems)
        self.serial += 1
        inner = Frame(f"{self.serial}", {}, receiver or frame.receiver, depth=frame.depth + 1)
        if function.macro:
            inner.caller = frame
        for parameter, argument in zip(function.parameters, expr.arguments, strict=False):
            key = f"{inner.prefix}#{parameter.name}"
            if parameter.reference:
                value = self.evaluate(argument, state, frame)
                inner.names[parameter.name] = value.place or key
                if value.place:
                    continue
            else:
                value = self.evaluate(argument, state, frame)
                inner.names[parameter.name] = key
            self.inside.add(key)
            self._bind(key, value, state, pointer=parameter.pointer)
        after, result = self.body_of(function, state, inner)
        if after is not state:
            state.taints, state.numbers = after.taints, after.numbers
            state.places, state.written = after.places, after.written
        self._forget(inner.prefix, state)
        return Value(step(result.taint, expr.line, f"{expr.function} depends on it"), result.number, result.place)

    def _bind(self, key: str, value: Value, state: State, *, pointer: bool) -> None:
        state.taints[key] = CLEAN if pointer and value.place else value.taint
        if value.number is not None:
            state.numbers[key] = value.number
        if pointer and value.place:
            state.places[key] = value.place

    def _forget(self, prefix: str, state: State) -> None:
        """Variables of a call are gone after it."""
        mark = prefix + "#"
        for table in (state.taints, state.numbers, state.places):
            for key in [key for key in table if key.startswith(mark)]:
                del table[key]

    def _unknown(self, expr: ir.Call, receiver: str, state: State, frame: Frame) -> Value:
        values = [self.evaluate(argument, state, frame) for argument in expr.arguments]
        taint = join(*(value.taint for value in values), state.taints.get(receiver, CLEAN))
        name = expr.function.rpartition("::")[2]
        if name in _COPIES and values and values[0].place:
            content = [state.content(value.place, whole=True) for value in values[1:]]
            copied = Value(join(*content, *(value.taint for value in values[1:])))
            self._store(values[0].place, copied, state, expr.line, strong=False)
        elif not _NO_EFFECT.match(name) and tokens_in(taint):
            for argument, value in zip(expr.arguments, values, strict=True):
                if value.place and isinstance(argument, ir.Address | ir.Name) and self._mutable(value.place):
                    self._store(value.place, Value(taint), state, expr.line, strong=False)
        if len(values) == 1:
            return Value(taint, values[0].number)
        return Value(taint)

    def _mutable(self, place: str) -> bool:
        return place.partition(".")[0] not in self.constant and not self.is_source(place)


def _has_index(expr: ir.Expr) -> bool:
    while isinstance(expr, ir.Field):
        expr = expr.base
    return isinstance(expr, ir.Index)
