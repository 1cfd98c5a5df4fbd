"""Find the code that a script unpacks and executes, without running the script.

A packed submission is a few lines around a literal: decode, decompress, ``exec``. This follows those lines with an
interpreter that knows literals, an allow-list of pure functions (:mod:`~auditor.submission.pure`), bounded decoders
(:mod:`~auditor.submission.codecs`) and files that exist only in its memory. Everything else has an unknown value, and
an unknown value that is executed is a problem by name.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from auditor.submission.codecs import DECODERS, REFUSED, DecodeError
from auditor.submission.problems import Problem, ProblemKind, ReadLimits
from auditor.submission.pure import (
    FUNCTIONS,
    LARGEST,
    PATH_ATTRIBUTES,
    UNKNOWN,
    Bound,
    Dotted,
    Unknown,
    bounded,
    call_method,
    constant,
)


@dataclass(frozen=True, slots=True)
class Trace:
    """Where decoded data came from.

    Attributes:
        line: line of the literal, or of the read of a payload file.
        codecs: decoders applied so far.
        packed_bytes: length of what went into the first decoder.
        payload: name of the payload file, empty for a literal.
    """

    line: int
    codecs: tuple[str, ...] = ()
    packed_bytes: int = 0
    payload: str = ""


@dataclass(frozen=True, slots=True)
class HiddenCode:
    """Code that the script executes out of data.

    Attributes:
        name: name of the file it is written to first; empty for code that goes straight to ``exec``.
        text: the code.
        trace: where it came from.
    """

    name: str
    text: str
    trace: Trace


@dataclass(frozen=True, slots=True)
class EnvironmentWrite:
    """``os.environ`` set by the script: ``forced`` unless it only sets a default."""

    name: str
    value: str
    line: int
    forced: bool


@dataclass
class Unwrapped:
    """What a script was seen to execute, write, reach and set.

    Attributes:
        executed: code out of data, in order.
        reached: names of the submission's own files that it executes as code, with the line.
        environment: environment variables it sets to known values before anything else reads them.
        problems: what could not be unwrapped.
    """

    executed: list[HiddenCode] = field(default_factory=list)
    reached: list[tuple[str, int]] = field(default_factory=list)
    environment: list[EnvironmentWrite] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Value:
    """A known value and where its data came from."""

    data: Any
    trace: Trace | None = None


@dataclass(frozen=True, slots=True)
class _File:
    """An open file, by its path and mode."""

    path: str
    mode: str


@dataclass(frozen=True, slots=True)
class _Function:
    """A function that the script defines."""

    node: ast.FunctionDef | ast.Lambda


class _ReturnError(Exception):
    def __init__(self, value: Value) -> None:
        self.value = value


class _SpentError(Exception):
    """The step budget is used up."""


_NOTHING = Value(UNKNOWN)
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.BitXor: operator.xor,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_RUNNERS = frozenset(
    {
        "runpy.run_path",
        "importlib.util.spec_from_file_location",
        "importlib.machinery.SourceFileLoader",
        "subprocess.run",
        "subprocess.call",
        "subprocess.check_call",
        "subprocess.check_output",
        "subprocess.Popen",
        "os.system",
        "os.execv",
        "os.execvp",
        "os.execve",
    }
)
_MODULE_RUNNERS = frozenset({"runpy.run_module", "importlib.import_module", "__import__"})
_ROOT = "/submission"

ReadFile = Callable[[str, str], tuple[str, bytes] | None]
"""Given the path a script opens and that script's name: the submission's file it means and its bytes, or None."""


def unwrap(tree: ast.Module, name: str, read_file: ReadFile, limits: ReadLimits) -> Unwrapped:
    """Follow the code that a script executes at its top level.

    Args:
        tree: the script.
        name: its name, for problems and to find files beside it.
        read_file: gives the submission's own files.
        limits: bounds.

    Never raises for what the script holds.
    """
    run = _Interpreter(name, read_file, limits)
    try:
        run.block(tree.body)
    except _SpentError:
        run.problem(ProblemKind.UNDECODABLE_PACKER, f"not unwrapped within {limits.steps} steps", 0)
    except RecursionError:
        run.problem(ProblemKind.TOO_DEEP, "expressions nested too deep to unwrap", 0)
    except _ReturnError:
        pass  # `return` outside a function is a syntax error that only compilation reports
    run.collect_written()
    return run.result


class _Interpreter:
    def __init__(self, name: str, read_file: ReadFile, limits: ReadLimits) -> None:
        self.name = name
        self.read_file = read_file
        self.limits = limits
        self.steps = limits.steps
        self.calls = 0
        self.result = Unwrapped()
        self.names: dict[str, Value] = {
            "__file__": Value(f"{_ROOT}/{name}"),
            "__name__": Value("__main__"),
        }
        self.written: dict[str, Value] = {}

    def problem(self, kind: ProblemKind, message: str, line: int) -> None:
        self.result.problems.append(Problem(kind, message, self.name, line))

    # Statements

    def block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:  # noqa: PLR0912 - one case per statement
        self._spend()
        match node:
            case ast.Import(names=names):
                for alias in names:
                    top = alias.name if alias.asname else alias.name.split(".")[0]
                    self.names[alias.asname or top] = Value(Dotted(_canonical(top)))
            case ast.ImportFrom(module=module, names=names, level=0):
                for alias in names:
                    dotted = constant(f"{_canonical(module or '')}.{alias.name}")
                    self.names[alias.asname or alias.name] = Value(dotted)
            case ast.Assign(targets=targets, value=value):
                known = self.expression(value)
                for target in targets:
                    self.assign(target, known)
            case ast.AnnAssign(target=target, value=value) if value is not None:
                self.assign(target, self.expression(value))
            case ast.AugAssign(target=ast.Name() as target, op=op, value=value):
                self.assign(target, self.binary(self.expression(_load(target)), op, self.expression(value)))
            case ast.Expr(value=value):
                self.expression(value)
            case ast.If(test=test, body=body, orelse=orelse):
                known = self.expression(test).data
                if isinstance(known, Unknown | Dotted | Bound) or known:
                    self.block(body)
                if isinstance(known, Unknown | Dotted | Bound) or not known:
                    self.block(orelse)
            case ast.For(target=target, iter=over, body=body, orelse=orelse):
                for item in self.items(self.expression(over)):
                    self.assign(target, item)
                    self.block(body)
                self.block(orelse)
            case ast.While(body=body):
                self.block(body)
            case ast.With(items=items, body=body):
                for manager in items:
                    known = self.expression(manager.context_expr)
                    if manager.optional_vars is not None:
                        self.assign(manager.optional_vars, known)
                self.block(body)
            case ast.Try(body=body, orelse=orelse, finalbody=final):
                # Handlers are for machines that lack something; where it was run, nothing was raised.
                self.block([*body, *orelse, *final])
            case ast.FunctionDef(name=name):
                self.names[name] = Value(_Function(node))
            case ast.Return(value=value):
                raise _ReturnError(self.expression(value) if value is not None else Value(None))
            case _:
                pass

    def assign(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name(id=name):
                self.names[name] = value
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                items = value.data if isinstance(value.data, list | tuple) else None
                if items is None or len(items) != len(elements):
                    items = [_NOTHING] * len(elements)
                for element, item in zip(elements, items, strict=True):
                    self.assign(element, _wrap(item, value.trace))
            case ast.Subscript(value=owner, slice=key):
                self.set_item(self.expression(owner).data, self.expression(key), value, target.lineno)
            case _:
                pass

    def set_item(self, owner: Any, key: Value, value: Value, line: int) -> None:
        if owner == Dotted("os.environ"):
            self.set_environment(key, value, line, forced=True)
        elif isinstance(owner, dict) and isinstance(key.data, str | int | bytes):
            owner[key.data] = value
        elif owner == Dotted("sys.modules"):
            pass

    def set_environment(self, name: Value, value: Value, line: int, *, forced: bool) -> None:
        if isinstance(name.data, str) and isinstance(value.data, str):
            self.result.environment.append(EnvironmentWrite(name.data, value.data, line, forced))

    # Expressions

    def expression(self, node: ast.expr) -> Value:  # noqa: PLR0911, PLR0912 - one case per expression
        self._spend()
        match node:
            case ast.Constant(value=value):
                return Value(value, Trace(node.lineno) if isinstance(value, str | bytes) else None)
            case ast.Name(id=name):
                return self.names.get(name, Value(Dotted(name)))
            case ast.Attribute(value=owner, attr=attribute):
                return self.attribute(self.expression(owner), attribute)
            case ast.Call():
                return self.call(node)
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(self.expression(left), op, self.expression(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                value = self.expression(operand).data
                return Value(-value) if isinstance(value, int) else _NOTHING
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                value = self.expression(operand).data
                return Value(not value) if isinstance(value, bool | int | str | bytes) else _NOTHING
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                items = [self.expression(element) for element in elements]
                trace = _deepest(items)
                return Value(items if isinstance(node, ast.List) else tuple(items), trace)
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                both = [(self.expression(key), self.expression(value)) for key, value in pairs if key is not None]
                return Value({key.data: value for key, value in both if isinstance(key.data, str | int | bytes)})
            case ast.Subscript(value=owner, slice=key):
                return self.item(self.expression(owner), key)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                known = self.expression(test).data
                if isinstance(known, Unknown | Dotted | Bound):
                    either = self.expression(body)
                    other = self.expression(orelse)
                    return either if not isinstance(either.data, Unknown) else other
                return self.expression(body if known else orelse)
            case ast.JoinedStr(values=values):
                parts = [self.expression(part) for part in values]
                if all(isinstance(part.data, str) for part in parts):
                    return Value("".join(part.data for part in parts), _deepest(parts))
                return _NOTHING
            case ast.FormattedValue(value=value, conversion=-1, format_spec=None):
                known = self.expression(value)
                return replace(known, data=str(known.data)) if isinstance(known.data, str | int) else _NOTHING
            case (
                ast.GeneratorExp(elt=element, generators=[generator])
                | ast.ListComp(elt=element, generators=[generator])
            ):
                return self.comprehension(element, generator)
            case ast.NamedExpr(target=target, value=value):
                known = self.expression(value)
                self.assign(target, known)
                return known
            case ast.Lambda():
                return Value(_Function(node))
            case ast.Starred(value=value):
                return self.expression(value)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self.compare(self.expression(left), op, self.expression(right))
            case ast.BoolOp(values=values):
                truths = [self.expression(value).data for value in values]
                if all(isinstance(item, bool) for item in truths):
                    return Value(all(truths) if isinstance(node.op, ast.And) else any(truths))
                return _NOTHING
            case _:
                return _NOTHING

    def comprehension(self, element: ast.expr, generator: ast.comprehension) -> Value:
        source = self.expression(generator.iter)
        out = []
        for item in self.items(source):
            self.assign(generator.target, item)
            if all(self.expression(test).data is not False for test in generator.ifs):
                out.append(self.expression(element))
        return Value(out, _deepest([source, *out]))

    def items(self, value: Value) -> Sequence[Value]:
        """What a loop over a value sees: its items, else one unknown."""
        if isinstance(value.data, dict):
            return [Value(key) for key in value.data]
        if isinstance(value.data, list | tuple | str | bytes) and len(value.data) <= self.steps:
            return [_wrap(item, value.trace) for item in value.data]
        return [_NOTHING]

    def compare(self, left: Value, op: ast.cmpop, right: Value) -> Value:
        plain = str | bytes | int | None
        if not isinstance(left.data, plain) or not isinstance(right.data, plain):
            return _NOTHING
        if isinstance(op, ast.Eq | ast.Is):
            return Value(left.data == right.data)
        return Value(left.data != right.data) if isinstance(op, ast.NotEq | ast.IsNot) else _NOTHING

    def binary(self, left: Value, op: ast.operator, right: Value) -> Value:  # noqa: PLR0911 - one case per kind of owner
        a, b = left.data, right.data
        if isinstance(a, PurePosixPath) and isinstance(op, ast.Div) and isinstance(b, str | PurePosixPath):
            return Value(a / b)
        both_text = (isinstance(a, str) and isinstance(b, str)) or (isinstance(a, bytes) and isinstance(b, bytes))
        if isinstance(op, ast.Add) and both_text and len(a) + len(b) <= LARGEST:
            return Value(a + b, _deepest([left, right]))
        if isinstance(op, ast.Add) and isinstance(a, list) and isinstance(b, list):
            return Value(bounded([*a, *b]), _deepest([left, right]))
        if isinstance(op, ast.Mult) and isinstance(a, str | bytes) and isinstance(b, int) and len(a) * b <= LARGEST:
            return Value(a * b, left.trace)
        function = _BINARY.get(type(op))
        if function is not None and isinstance(a, int) and isinstance(b, int) and max(abs(a), abs(b)) < 1 << 64:
            try:
                return Value(function(a, b))
            except ZeroDivisionError:
                return _NOTHING
        return _NOTHING

    def item(self, owner: Value, key: ast.expr) -> Value:
        if isinstance(key, ast.Slice):
            parts = [self.expression(part).data if part else None for part in (key.lower, key.upper, key.step)]
            if isinstance(owner.data, str | bytes | list | tuple) and all(isinstance(p, int | None) for p in parts):
                return replace(owner, data=owner.data[slice(*parts)]) if parts[2] != 0 else _NOTHING
            return _NOTHING
        index = self.expression(key).data
        try:
            if isinstance(owner.data, dict) or (
                isinstance(owner.data, list | tuple | str | bytes) and isinstance(index, int)
            ):
                return _wrap(owner.data[index], owner.trace)
        except (LookupError, TypeError):
            return _NOTHING
        return _NOTHING

    def attribute(self, owner: Value, name: str) -> Value:
        match owner.data:
            case Dotted(name=dotted):
                return Value(constant(f"{dotted}.{name}"))
            case Unknown():
                return _NOTHING
            case PurePosixPath() if name in PATH_ATTRIBUTES:
                return Value(getattr(owner.data, name))
            case _:
                return Value(Bound(owner, name), owner.trace)

    # Calls

    def call(self, node: ast.Call) -> Value:
        function = self.expression(node.func).data
        arguments = [self.expression(argument) for argument in node.args]
        keywords = {word.arg: self.expression(word.value) for word in node.keywords if word.arg}
        match function:
            case Bound(owner=owner, name=name):
                return self.method(owner, name, arguments, keywords, node)
            case _Function(node=definition):
                return self.user_function(definition, arguments, keywords)
            case Dotted(name=dotted):
                return self.named_call(_canonical(dotted.removeprefix("builtins.")), arguments, keywords, node)
            case _:
                return _NOTHING

    def named_call(self, name: str, arguments: list[Value], keywords: dict[str, Value], node: ast.Call) -> Value:  # noqa: PLR0911, PLR0912 - one case per function
        first = arguments[0] if arguments else _NOTHING
        if name in {"exec", "eval"}:
            self.execute(first, node)
            return _NOTHING
        if name == "compile":
            return first if arguments else keywords.get("source", _NOTHING)
        if name in REFUSED:
            if isinstance(first.data, bytes):
                message = f"{name} builds objects or byte code: not unwrapped"
                self.problem(ProblemKind.UNDECODABLE_PACKER, message, node.lineno)
            return _NOTHING
        if name in DECODERS:
            return self.decode(name, first, arguments[1:], keywords, node)
        if name in {"open", "io.open"}:
            return self.open(first, arguments[1:], keywords)
        if name in _RUNNERS:
            for argument in [*arguments, *keywords.values()]:
                self.run_paths(argument, node.lineno)
            return _NOTHING
        if name in _MODULE_RUNNERS:
            if isinstance(first.data, str):
                self.result.reached.append((first.data.replace(".", "/") + ".py", node.lineno))
            return _NOTHING if name != "__import__" or not isinstance(first.data, str) else Value(Dotted(first.data))
        if name == "importlib.import_module" and isinstance(first.data, str):
            return Value(Dotted(first.data))
        if name in {"os.environ.setdefault", "os.putenv"} and len(arguments) == 2:
            self.set_environment(first, arguments[1], node.lineno, forced=name == "os.putenv")
            return _NOTHING
        if name == "os.environ.update":
            pairs = [*(first.data.items() if isinstance(first.data, dict) else ()), *keywords.items()]
            for key, value in pairs:
                self.set_environment(Value(key), _wrap(value, None), node.lineno, forced=True)
            return _NOTHING
        if name in {"getattr", "builtins.getattr"} and len(arguments) >= 2 and isinstance(arguments[1].data, str):
            return self.attribute(first, arguments[1].data)
        if name in {"zstandard.ZstdDecompressor", "brotli.Decompressor"}:
            return Value(Dotted(name.rpartition(".")[0]))
        if name in FUNCTIONS:
            return self.pure(FUNCTIONS[name], arguments, keywords)
        return _NOTHING

    def pure(self, function: Callable[..., Any], arguments: list[Value], keywords: dict[str, Value]) -> Value:
        plain = [_plain(argument) for argument in arguments]
        named = {word: _plain(value) for word, value in keywords.items()}
        if any(isinstance(item, Unknown) for item in [*plain, *named.values()]):
            return _NOTHING
        try:
            out = function(*plain, **named)
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError, MemoryError):
            return _NOTHING
        return Value(bounded(out), _deepest(arguments))

    def method(
        self, owner: Value, name: str, arguments: list[Value], keywords: dict[str, Value], node: ast.Call
    ) -> Value:
        if isinstance(owner.data, _File):
            return self.file_method(owner.data, name, arguments, node.lineno)
        if isinstance(owner.data, PurePosixPath) and name in {"read_bytes", "read_text", "open"}:
            return self.read(str(owner.data), "rb" if name == "read_bytes" else "r", node.lineno, whole=name != "open")
        if isinstance(owner.data, PurePosixPath) and name in {"write_bytes", "write_text"} and arguments:
            self.written[_inside(str(owner.data))] = arguments[0]
            return _NOTHING
        if isinstance(owner.data, list) and name == "append" and arguments:
            owner.data.append(arguments[0])
            return _NOTHING
        plain = [_plain(argument) for argument in arguments]
        named = {word: _plain(value) for word, value in keywords.items()}
        if any(isinstance(item, Unknown) for item in [*plain, *named.values()]):
            return _NOTHING
        out = bounded(call_method(_plain(owner), name, plain, named))
        trace = owner.trace
        if name == "join":
            trace = _deepest([*arguments, owner])
        return Value(out, trace)

    def user_function(
        self, node: ast.FunctionDef | ast.Lambda, arguments: list[Value], keywords: dict[str, Value]
    ) -> Value:
        if self.calls > 20:
            return _NOTHING
        names = [argument.arg for argument in [*node.args.posonlyargs, *node.args.args]]
        before = dict(self.names)
        defaults = node.args.defaults
        for name, default in zip(names[len(names) - len(defaults) :], defaults, strict=True):
            self.names[name] = self.expression(default)
        self.names.update(dict(zip(names, arguments, strict=False)) | keywords)
        self.calls += 1
        try:
            if isinstance(node, ast.Lambda):
                return self.expression(node.body)
            self.block(node.body)
        except _ReturnError as returned:
            return returned.value
        finally:
            self.calls -= 1
            self.names = before
        return Value(None)

    # Decoding, files and execution

    def decode(self, name: str, data: Value, rest: list[Value], keywords: dict[str, Value], node: ast.Call) -> Value:
        codec, function = DECODERS[name]
        raw = data.data
        plain = [_plain(argument) for argument in rest]
        named = {word: _plain(value) for word, value in keywords.items()}
        if not isinstance(raw, str | bytes) or any(isinstance(item, Unknown) for item in [*plain, *named.values()]):
            return _NOTHING
        try:
            out = function(raw, self.limits.unpacked_bytes, *plain, **named)
        except DecodeError as error:
            self.problem(ProblemKind.UNDECODABLE_PACKER, str(error), node.lineno)
            return _NOTHING
        except TypeError:
            return _NOTHING
        trace = data.trace or Trace(node.lineno)
        packed = trace.packed_bytes or len(raw)
        return Value(out, replace(trace, codecs=(*trace.codecs, codec), packed_bytes=packed))

    def open(self, path: Value, rest: list[Value], keywords: dict[str, Value]) -> Value:
        mode = rest[0].data if rest else keywords.get("mode", Value("r")).data
        if isinstance(path.data, str | PurePosixPath) and isinstance(mode, str):
            return Value(_File(_inside(str(path.data)), mode))
        return _NOTHING

    def file_method(self, file: _File, name: str, arguments: list[Value], line: int) -> Value:
        if name == "read":
            return self.read(file.path, file.mode, line, whole=True)
        if name == "write" and arguments:
            before = self.written.get(file.path) if "a" in file.mode else None
            self.written[file.path] = self.binary(before, ast.Add(), arguments[0]) if before else arguments[0]
        if name == "__enter__":
            return Value(file)
        return _NOTHING

    def read(self, path: str, mode: str, line: int, *, whole: bool) -> Value:
        path = _inside(path)
        if not whole:
            return Value(_File(path, mode))
        if path in self.written:
            return self.written[path]
        found = self.read_file(path, self.name)
        if found is None:
            return _NOTHING
        name, data = found
        content = data if "b" in mode else data.decode("utf-8", "replace")
        return Value(content, Trace(line, payload=name))

    def run_paths(self, value: Value, line: int) -> None:
        """Note the scripts among the words of a command, or the path of a loader."""
        parts = value.data if isinstance(value.data, list | tuple) else [value.data]
        for part in parts:
            known = part.data if isinstance(part, Value) else part
            words = str(known).split() if isinstance(known, str) else [str(known)]
            for word in words if isinstance(known, str | PurePosixPath) else ():
                path = _inside(word)
                if path in self.written:
                    self.execute_written(path)
                elif path.endswith(".py"):
                    self.result.reached.append((path, line))

    def execute_written(self, path: str) -> None:
        value = self.written[path]
        text = _as_text(value.data)
        name = path.removeprefix("/unpacked/").lstrip("/")
        if text is not None and all(hidden.name != name for hidden in self.result.executed):
            self.result.executed.append(HiddenCode(name, text, value.trace or Trace(0)))

    def collect_written(self) -> None:
        """Code that the script unpacks into files counts as executed: somebody imports or compiles it."""
        for path, value in self.written.items():
            if value.trace and value.trace.codecs and path.endswith((".py", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h")):
                self.execute_written(path)

    def execute(self, value: Value, node: ast.Call) -> None:
        text = _as_text(value.data)
        trace = value.trace or Trace(node.lineno)
        same = next((path for path, written in self.written.items() if text and _as_text(written.data) == text), None)
        if same is not None:
            self.execute_written(same)
        elif text is None:
            what = ast.unparse(node.args[0])[:60] if node.args and not isinstance(node.args[0], ast.Constant) else ""
            self.problem(ProblemKind.DYNAMIC_CODE, f"executes a value known only at run time: {what}", node.lineno)
        elif trace.payload.endswith(".py") and not trace.codecs:
            self.result.reached.append((trace.payload, node.lineno))
        elif trace.codecs or trace.payload or len(text) > 200:
            self.result.executed.append(HiddenCode("", text, trace))

    def _spend(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise _SpentError


def _canonical(name: str) -> str:
    """One name for modules that are drop-in replacements of each other."""
    for alias, module in (("zstd.", "zstandard."), ("pyzstd.", "zstandard."), ("brotlicffi.", "brotli.")):
        if name.startswith(alias):
            return module + name[len(alias) :]
    return {"zstd": "zstandard", "pyzstd": "zstandard", "brotlicffi": "brotli"}.get(name, name)


def _inside(path: str) -> str:
    return path.removeprefix(_ROOT + "/")


def _load(target: ast.Name) -> ast.Name:
    return ast.copy_location(ast.Name(target.id, ast.Load()), target)


def _as_text(data: Any) -> str | None:
    if isinstance(data, bytes):
        return data.decode("utf-8", "replace")
    return data if isinstance(data, str) else None


def _deepest(values: Sequence[Value]) -> Trace | None:
    """The trace of the most decoded of several values, the first of equals."""
    traces = [value.trace for value in values if value.trace is not None]
    return max(traces, key=lambda trace: len(trace.codecs), default=None)


def _wrap(item: Any, trace: Trace | None) -> Value:
    return item if isinstance(item, Value) else Value(item, trace)


def _plain(value: Any) -> Any:
    """A value without traces, items included; unknown where any part of it is."""
    data = value.data if isinstance(value, Value) else value
    if isinstance(data, Dotted | Bound | _File | _Function):
        return UNKNOWN
    if isinstance(data, dict):
        plain = {key: _plain(item) for key, item in data.items()}
        return UNKNOWN if any(isinstance(item, Unknown) for item in plain.values()) else plain
    if isinstance(data, list | tuple):
        items = [_plain(item) for item in data]
        if any(isinstance(item, Unknown) for item in items):
            return UNKNOWN
        return items if isinstance(data, list) else tuple(items)
    return data
