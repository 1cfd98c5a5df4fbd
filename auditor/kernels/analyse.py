"""The question about a kernel: may an output at position i depend on token i before the token is counted?

Each function that walks tokens and writes arrays is interpreted once, with the functions that it calls in place, over
an abstraction that knows program order, branches, and how far from the current position a token was read. What the
loop learns furthest along the stream is the token that it predicts: an output that depends on it leaks, whether through
data, a table, a branch, or state that had taken it in already.

Kernels that take the model's own losses and return others are scorers, which must read the target; other rules judge
those. Nothing is compiled or run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from auditor.kernels import ir
from auditor.kernels.expressions import BudgetError, Frame, is_position_name, is_token_name
from auditor.kernels.facts import FunctionFacts, KernelFacts, Leak
from auditor.kernels.interpret import Interpreter, children, expressions_in
from auditor.kernels.spreads import spreads
from auditor.kernels.state import UNBOUNDED, State, Taint, tokens_in
from auditor.kernels.unit import PREFIX_NAMES, WIDE, Unit, read_unit

_BUDGET = 150_000
_NO_HINT = re.compile(r"(?:^|_)(?:nll|loss|losses|keys?|hash|hashes|buckets?|bytes?|lens?|lengths?|bits|counts?)_*$")
_SCORES = re.compile(r"(?:^|_)(?:nll|nlls|loss|losses|logp|logprobs?|ptl|logits)_*$")
_STEM = re.compile(
    r"^(?:out_)?(\w*?)_?(?:top|valid|prob|probs|tokens?|tok|hints?|gate|mask|conf|boost|betas?|score|ids?|best)(?:_\w*)?s?$"
)


def analyse_kernel(source: str, name: str, *, line_offset: int = 0) -> KernelFacts:
    """Facts about one file or literal of C or C++. Never raises, whatever the text.

    Args:
        source: the code.
        name: the file in evidence.
        line_offset: added to every line, for a literal inside another file.
    """
    unit = read_unit(source, name, line_offset)
    facts = tuple(fact for function in unit.functions.values() if (fact := _facts(unit, function)) is not None)
    return KernelFacts(name, facts, tuple(unit.lost), tuple(spreads(unit)))


def _facts(unit: Unit, function: ir.Function) -> FunctionFacts | None:
    """What one function does; None when it does not walk tokens and write arrays."""
    names = {p.name for p in function.parameters}
    if function.macro or any(_SCORES.search(p.name) and p.pointer for p in function.parameters):
        return None
    written, read = _accesses(function.body)
    pointers = [p for p in function.parameters if p.pointer and p.name] + list(_buffers(function.body))
    sources = {
        p.name
        for p in pointers
        if p.name not in written
        and not PREFIX_NAMES.search(p.name)
        and not is_position_name(p.name)
        and (WIDE.search(p.element) or is_token_name(p.name))
    }
    if any(is_token_name(name) for name in sources):
        sources = {name for name in sources if is_token_name(name)}
    outputs = {p.name for p in pointers if not p.constant and p.name not in sources}
    outputs = {name for name in outputs if read.get(name, set()) <= written.get(name, set()) or name not in written}
    local = {p.name for p in pointers} - names
    if not outputs:
        return None
    constant = (
        unit.constants | {p.name for p in pointers if p.constant} | (names - outputs - {p.name for p in pointers})
    )
    for loop in _loops(function.body):
        places = [frozenset(f"0#{name}" if name in local else name for name in group) for group in (sources, outputs)]
        walk = _Walk(unit, function, loop, places[0] | (unit.tokens - names), places[1])
        found = walk.facts(frozenset(constant))
        if found is not None:
            return found
    return None


@dataclass
class _Walk:
    """One function around one of its loops."""

    unit: Unit
    function: ir.Function
    loop: ir.Loop
    sources: frozenset[str]
    outputs: frozenset[str]
    taints: dict[str, Taint] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    furthest: dict[str, int] = field(default_factory=dict)
    """The furthest token that each variable holds at the end of an iteration."""

    def facts(self, constant: frozenset[str]) -> FunctionFacts | None:
        interpreter = Interpreter(
            self.unit.functions,
            self.unit.macros,
            self.sources,
            self.outputs,
            constant,
            budget=_BUDGET,
            position_loop=self.loop,
            harvest=self._harvest,
        )
        frame = Frame("0", {}, depth=0)
        problems = list(self.function.problems)
        try:
            interpreter.run(self.function, frame)
        except (BudgetError, RecursionError):
            problems.append(f"{self.function.name} is too large to interpret")
        problems += [problem for problem in interpreter.problems if problem not in problems]
        if not self.written or (interpreter.furthest < 0 and not any(UNBOUNDED in t for t in self.taints.values())):
            return None
        hints = sorted(name for name in self.written if not _NO_HINT.search(_plain(name)))
        if not hints:
            return None
        learned = {s: o for s, o in self.furthest.items() if s.partition(".")[0] not in interpreter.inside and o >= 0}
        target = max(learned.values(), default=interpreter.furthest)
        leaks: list[Leak] = []
        for output in hints:
            taint = self.taints[output]
            if UNBOUNDED in taint:
                line = taint[UNBOUNDED].steps[0][0]
                plain = _plain(output)
                problems.append(
                    f"line {line} reads tokens at a position that cannot be told, and {plain} depends on it"
                )
            leaks += self._leak(output, taint, target, learned)
        shared = tuple(dict.fromkeys(guard for leak in leaks for guard in leak.guard))
        leaks = [
            leak if leak.guard else Leak(leak.output, leak.source, leak.path, shared, leak.certain) for leak in leaks
        ]
        return FunctionFacts(
            self.function.name,
            self.function.line,
            tuple(_plain(name) for name in hints),
            tuple(leaks),
            tuple(dict.fromkeys(problems)),
        )

    def _harvest(self, state: State) -> None:
        self.written |= state.written
        for name in state.written:
            self.taints[name] = {**state.taints.get(name, {}), **self.taints.get(name, {})}
        for name, taint in state.taints.items():
            if name not in state.written and tokens_in(taint):
                self.furthest[name] = max(
                    self.furthest.get(name, -1), *(t for t in tokens_in(taint) if t != UNBOUNDED), -1
                )

    def _leak(self, output: str, taint: Taint, target: int, learned: Mapping[str, int]) -> Iterator[Leak]:
        """What an output says of the token that it predicts, if anything.

        Args:
            output: the array.
            taint: what its element for a position depends on.
            target: the furthest token that state learns, which should be the one that is predicted.
            learned: the furthest token that each variable of the state learns.
        """
        labels = {label for t in self.taints.values() for label in t if isinstance(label, str)}
        consulted = {label[6:] for label in labels if label.startswith("state:")} & learned.keys()
        # State that learns less far may show that the position is an earlier one, and the rest a look ahead.
        nearest = min((learned[name] for name in consulted), default=target)
        offsets = sorted((o for o in tokens_in(taint) if o != UNBOUNDED and o >= min(nearest, target)), reverse=True)
        if target < 0 or not offsets:
            return
        path = tuple(self.unit.step(line, why) for line, why in taint[offsets[0]].steps)
        boosts = tuple(label[6:] for label in taint if isinstance(label, str) and label.startswith("boost:"))
        stem = _STEM.match(_plain(output))
        guard = boosts or ((f"{stem[1]}_boost",) if stem is not None and stem[1] and stem[1] != "out" else ())
        at_target = offsets[0] >= target and any(learned[name] >= target for name in consulted)
        certain = at_target and any(is_token_name(_plain(name)) for name in self.sources)
        yield Leak(_plain(output), path[0], path, guard, certain)


def _plain(variable: str) -> str:
    """A variable's name without its frame."""
    return variable.rpartition("#")[2]


def _buffers(body: tuple[ir.Stmt, ...]) -> Iterator[ir.Parameter]:
    """Local pointers to the data of an array object, such as ``double* out = array.data()``."""
    for statement in body:
        if isinstance(statement, ir.Declare) and statement.element and isinstance(statement.value, ir.Call):
            name = statement.value.function
            if statement.value.receiver is not None and ("data" in name or name == "request"):
                yield ir.Parameter(
                    statement.name, statement.element, pointer=True, constant=statement.constant, reference=False
                )


def _loops(statements: tuple[ir.Stmt, ...]) -> Iterator[ir.Loop]:
    """Loops, the outer ones first."""
    level: list[ir.Stmt] = list(statements)
    while level:
        inner: list[ir.Stmt] = []
        for statement in level:
            if isinstance(statement, ir.Loop):
                yield statement
                inner.extend(statement.body)
            elif isinstance(statement, ir.If):
                inner.extend((*statement.then, *statement.otherwise))
            elif isinstance(statement, ir.Switch):
                inner.extend(s for case in statement.cases for s in case)
        level = inner


def _accesses(body: tuple[ir.Stmt, ...]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """Arrays written and read by name, each with the shapes of the indices."""
    written: dict[str, set[str]] = {}
    read: dict[str, set[str]] = {}
    stack = [(expr, False) for statement in body for expr in expressions_in(statement)]
    while stack:
        expr, target = stack.pop()
        if isinstance(expr, ir.Index):
            base = expr.base.target if isinstance(expr.base, ir.Assign) else expr.base
            if isinstance(base, ir.Name):
                (written if target else read).setdefault(base.id, set()).add(_shape(expr.index))
        if isinstance(expr, ir.Assign):
            stack.append((expr.target, True))
            stack.append((expr.value, False))
        else:
            stack.extend((child, target and isinstance(expr, ir.Field)) for child in children(expr))
    return written, read


def _shape(expr: ir.Expr) -> str:
    """An expression without its lines."""
    return re.sub(r"line=\d+", "", repr(expr))
