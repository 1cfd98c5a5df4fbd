"""Find the code that a script unpacks and executes, without running the script.

A packed submission is a few lines around a literal: decode, decompress, ``exec``. This follows those lines with an
interpreter that knows literals, an allow-list of pure functions (:mod:`~auditor.submission.pure`), bounded decoders
(:mod:`~auditor.submission.codecs`) and files that exist only in its memory. Everything else has an unknown value, and
an unknown value that is executed is a problem by name.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from auditor.submission.codecs import DECODERS, REFUSED, DecodeError
from auditor.submission.expressions import Expressions, SpentError
from auditor.submission.problems import Problem, ProblemKind, ReadLimits
from auditor.submission.pure import FUNCTIONS, Bound, Dotted, Unknown, bounded, call_method, constant
from auditor.submission.values import (
    NOTHING,
    EnvironmentWrite,
    Function,
    HiddenCode,
    OpenFile,
    Trace,
    Unwrapped,
    Value,
    deepest,
    plain,
    wrap,
)

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
    except SpentError:
        run.problem(ProblemKind.UNDECODABLE_PACKER, f"not unwrapped within {limits.steps} steps", 0)
    except RecursionError:
        run.problem(ProblemKind.TOO_DEEP, "expressions nested too deep to unwrap", 0)
    except ReturnedError:
        pass  # `return` outside a function is a syntax error that only compilation reports
    run.collect_written()
    return run.result


class ReturnedError(Exception):
    """A ``return`` was reached."""

    def __init__(self, value: Value) -> None:
        self.value = value


class _Interpreter(Expressions):
    def __init__(self, name: str, read_file: ReadFile, limits: ReadLimits) -> None:
        super().__init__(limits.steps)
        self.name = name
        self.read_file = read_file
        self.limits = limits
        self.calls = 0
        self.result = Unwrapped()
        self.names |= {
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
        self.spend()
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
                self.assign(target, self.binary(self.names.get(target.id, NOTHING), op, self.expression(value)))
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
                self.names[name] = Value(Function(node))
            case ast.Return(value=value):
                raise ReturnedError(self.expression(value) if value is not None else Value(None))
            case _:
                pass

    def assign(self, target: ast.expr, value: Value) -> None:
        match target:
            case ast.Name(id=name):
                self.names[name] = value
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                items = value.data if isinstance(value.data, list | tuple) else None
                if items is None or len(items) != len(elements):
                    items = [NOTHING] * len(elements)
                for element, item in zip(elements, items, strict=True):
                    self.assign(element, wrap(item, value.trace))
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

    # Calls

    def call(self, node: ast.Call) -> Value:
        function = self.expression(node.func).data
        arguments = [self.expression(argument) for argument in node.args]
        keywords = {word.arg: self.expression(word.value) for word in node.keywords if word.arg}
        match function:
            case Bound(owner=owner, name=name):
                return self.method(owner, name, arguments, keywords, node)
            case Function(node=definition):
                return self.user_function(definition, arguments, keywords)
            case Dotted(name=dotted):
                return self.named_call(_canonical(dotted.removeprefix("builtins.")), arguments, keywords, node)
            case _:
                return NOTHING

    def named_call(self, name: str, arguments: list[Value], keywords: dict[str, Value], node: ast.Call) -> Value:  # noqa: PLR0911, PLR0912 - one case per function
        first = arguments[0] if arguments else NOTHING
        if name in {"exec", "eval"}:
            self.execute(first, node)
            return NOTHING
        if name == "compile":
            return first if arguments else keywords.get("source", NOTHING)
        if name in REFUSED:
            if isinstance(first.data, bytes):
                message = f"{name} builds objects or byte code: not unwrapped"
                self.problem(ProblemKind.UNDECODABLE_PACKER, message, node.lineno)
            return NOTHING
        if name in DECODERS:
            return self.decode(name, first, arguments[1:], keywords, node)
        if name in {"open", "io.open"}:
            return self.open(first, arguments[1:], keywords)
        if name in _RUNNERS:
            for argument in [*arguments, *keywords.values()]:
                self.run_paths(argument, node.lineno)
            return NOTHING
        if name in _MODULE_RUNNERS:
            if isinstance(first.data, str):
                self.result.reached.append((first.data.replace(".", "/") + ".py", node.lineno))
            return NOTHING if name != "__import__" or not isinstance(first.data, str) else Value(Dotted(first.data))
        if name == "importlib.import_module" and isinstance(first.data, str):
            return Value(Dotted(first.data))
        if name in {"os.environ.setdefault", "os.putenv"} and len(arguments) == 2:
            self.set_environment(first, arguments[1], node.lineno, forced=name == "os.putenv")
            return NOTHING
        if name == "os.environ.update":
            pairs = [*(first.data.items() if isinstance(first.data, dict) else ()), *keywords.items()]
            for key, value in pairs:
                self.set_environment(Value(key), wrap(value, None), node.lineno, forced=True)
            return NOTHING
        if name in {"getattr", "builtins.getattr"} and len(arguments) >= 2 and isinstance(arguments[1].data, str):
            return self.attribute(first, arguments[1].data)
        if name in {"zstandard.ZstdDecompressor", "brotli.Decompressor"}:
            return Value(Dotted(name.rpartition(".")[0]))
        if name in FUNCTIONS:
            return self.pure(FUNCTIONS[name], arguments, keywords)
        return NOTHING

    def pure(self, function: Callable[..., Any], arguments: list[Value], keywords: dict[str, Value]) -> Value:
        known = [plain(argument) for argument in arguments]
        named = {word: plain(value) for word, value in keywords.items()}
        if any(isinstance(item, Unknown) for item in [*known, *named.values()]):
            return NOTHING
        try:
            out = function(*known, **named)
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError, MemoryError):
            return NOTHING
        return Value(bounded(out), deepest(arguments))

    def method(
        self, owner: Value, name: str, arguments: list[Value], keywords: dict[str, Value], node: ast.Call
    ) -> Value:
        if isinstance(owner.data, OpenFile):
            return self.file_method(owner.data, name, arguments, node.lineno)
        if isinstance(owner.data, PurePosixPath) and name in {"read_bytes", "read_text", "open"}:
            return self.read(str(owner.data), "rb" if name == "read_bytes" else "r", node.lineno, whole=name != "open")
        if isinstance(owner.data, PurePosixPath) and name in {"write_bytes", "write_text"} and arguments:
            self.written[_inside(str(owner.data))] = _traced(arguments[0], node.lineno)
            return NOTHING
        if isinstance(owner.data, list) and name == "append" and arguments:
            owner.data.append(arguments[0])
            return NOTHING
        known = [plain(argument) for argument in arguments]
        named = {word: plain(value) for word, value in keywords.items()}
        if any(isinstance(item, Unknown) for item in [*known, *named.values()]):
            return NOTHING
        out = bounded(call_method(plain(owner), name, known, named))
        trace = owner.trace
        if name == "join":
            trace = deepest([*arguments, owner])
        return Value(out, trace)

    def user_function(
        self, node: ast.FunctionDef | ast.Lambda, arguments: list[Value], keywords: dict[str, Value]
    ) -> Value:
        if self.calls > 20:
            return NOTHING
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
        except ReturnedError as returned:
            return returned.value
        finally:
            self.calls -= 1
            self.names = before
        return Value(None)

    # Decoding, files and execution

    def decode(self, name: str, data: Value, rest: list[Value], keywords: dict[str, Value], node: ast.Call) -> Value:
        codec, function = DECODERS[name]
        raw = data.data
        known = [plain(argument) for argument in rest]
        named = {word: plain(value) for word, value in keywords.items()}
        if not isinstance(raw, str | bytes) or any(isinstance(item, Unknown) for item in [*known, *named.values()]):
            return NOTHING
        try:
            out = function(raw, self.limits.unpacked_bytes, *known, **named)
        except DecodeError as error:
            self.problem(ProblemKind.UNDECODABLE_PACKER, str(error), node.lineno)
            return NOTHING
        except TypeError:
            return NOTHING
        trace = data.trace or Trace(node.lineno)
        packed = trace.packed_bytes or len(raw)
        return Value(out, replace(trace, codecs=(*trace.codecs, codec), packed_bytes=packed))

    def open(self, path: Value, rest: list[Value], keywords: dict[str, Value]) -> Value:
        mode = rest[0].data if rest else keywords.get("mode", Value("r")).data
        if isinstance(path.data, str | PurePosixPath) and isinstance(mode, str):
            return Value(OpenFile(_inside(str(path.data)), mode))
        return NOTHING

    def file_method(self, file: OpenFile, name: str, arguments: list[Value], line: int) -> Value:
        if name == "read":
            return self.read(file.path, file.mode, line, whole=True)
        if name == "write" and arguments:
            before = self.written.get(file.path) if "a" in file.mode else None
            content = _traced(arguments[0], line)
            self.written[file.path] = self.binary(before, ast.Add(), content) if before else content
        if name == "__enter__":
            return Value(file)
        return NOTHING

    def read(self, path: str, mode: str, line: int, *, whole: bool) -> Value:
        path = _inside(path)
        if not whole:
            return Value(OpenFile(path, mode))
        if path in self.written:
            return self.written[path]
        found = self.read_file(path, self.name)
        if found is None:
            return NOTHING
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


def _canonical(name: str) -> str:
    """One name for modules that are drop-in replacements of each other."""
    for alias, module in (("zstd.", "zstandard."), ("pyzstd.", "zstandard."), ("brotlicffi.", "brotli.")):
        if name.startswith(alias):
            return module + name[len(alias) :]
    return {"zstd": "zstandard", "pyzstd": "zstandard", "brotlicffi": "brotli"}.get(name, name)


def _traced(value: Value, line: int) -> Value:
    """A value that at least says which line made it."""
    return value if value.trace else replace(value, trace=Trace(line))


def _inside(path: str) -> str:
    return path.removeprefix(_ROOT + "/")


def _as_text(data: Any) -> str | None:
    if isinstance(data, bytes):
        return data.decode("utf-8", "replace")
    return data if isinstance(data, str) else None
