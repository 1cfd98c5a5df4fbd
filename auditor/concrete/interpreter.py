"""Statements and expressions of Python over concrete values."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from auditor.concrete.environment import Class, Environment, Function, HaltError, Object, Partial
from auditor.concrete.library import BUILTINS, FUNCTIONS, UNKNOWN, Dotted, attribute, method, small
from auditor.concrete.operations import index_of, item_of, operate

STEPS = 20_000
"""Statements and expressions of one evaluation; a table over a dozen sample tokens takes about a thousand."""
_DEPTH = 12


class _ReturnError(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


class _LoopError(Exception):
    def __init__(self, stops: bool) -> None:
        self.stops = stops


class Interpreter:
    """Evaluates over some modules.

    Args:
        modules: the syntax of the script's files; their top-level names see each other.
        guess: the value of a name or attribute that is not known otherwise, by name and function; UNKNOWN for none.
    """

    def __init__(
        self,
        modules: Iterable[ast.Module],
        guess: Callable[[str, ast.AST | None], Any] = lambda name, function: UNKNOWN,
    ) -> None:
        self.guess = guess
        self.steps = STEPS
        self.top = Environment()
        self._pending: dict[str, ast.expr] = {}
        self._depth = 0
        evaluate = self.evaluate
        self._statements: dict[type, Callable[[Any, Environment], None]] = {
            ast.Assign: self._assign, ast.AnnAssign: self._annotated, ast.AugAssign: self._augmented, ast.If: self._if,
            ast.Expr: lambda node, env: evaluate(node.value, env), ast.For: self._for, ast.Return: self._return,
            **dict.fromkeys((ast.With, ast.Try), lambda node, env: self.block(node.body, env)),
            **dict.fromkeys((ast.Break, ast.Continue), self._jump), ast.ClassDef: self._class,
            ast.FunctionDef: lambda node, env: env.names.update({node.name: Function(node, env)}),
            **dict.fromkeys((ast.Import, ast.ImportFrom), self._import),
            **dict.fromkeys((ast.Pass, ast.Assert, ast.Global, ast.Nonlocal), lambda node, env: None),
        }  # fmt: skip
        self._expressions: dict[type, Callable[[Any, Environment], Any]] = {
            ast.Constant: lambda node, env: node.value, ast.Name: lambda node, env: self._name(node.id, env),
            ast.Attribute: lambda node, env: self._attribute(evaluate(node.value, env), node.attr, env),
            ast.Subscript: lambda node, env: item_of(evaluate(node.value, env), evaluate(node.slice, env)),
            ast.Slice: self._slice, ast.Call: self._call, ast.Dict: self._dict, ast.Compare: self._compare,
            ast.BinOp: lambda node, env: operate(node.op, evaluate(node.left, env), evaluate(node.right, env)),
            ast.UnaryOp: self._unary, ast.BoolOp: self._boolean, ast.IfExp: self._if_exp,
            ast.Tuple: lambda node, env: tuple(evaluate(part, env) for part in node.elts),
            ast.List: lambda node, env: [evaluate(part, env) for part in node.elts],
            ast.Lambda: Function, ast.JoinedStr: self._formatted,
            **dict.fromkeys((ast.ListComp, ast.SetComp, ast.GeneratorExp), self._comprehension),
        }  # fmt: skip
        for module in modules:
            for statement in module.body:
                self._declare(statement)

    def _declare(self, statement: ast.stmt) -> None:
        """Top-level definitions; values are computed when they are asked for."""
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            if isinstance(statement.targets[0], ast.Name):
                self._pending.setdefault(statement.targets[0].id, statement.value)
        elif isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            self._statement(statement, self.top)

    # -- running -----------------------------------------------------------------------------------------------------

    def try_block(self, body: Sequence[ast.stmt], env: Environment) -> Iterable[ast.stmt]:
        """Run statements one by one, each yielded before it runs; one that halts leaves its names unknown."""
        for statement in body:
            yield statement
            self.steps = STEPS
            try:
                self._statement(statement, env)
            except (HaltError, _LoopError, RecursionError):
                self._forget(statement, env)
            except _ReturnError:
                return

    def try_value(self, node: ast.expr, env: Environment) -> Any:
        """The value of an expression, UNKNOWN where it halts."""
        self.steps = STEPS
        try:
            return self.evaluate(node, env)
        except (HaltError, RecursionError):
            return UNKNOWN

    def _forget(self, statement: ast.stmt, env: Environment) -> None:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name | ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
                root: ast.expr = node
                while isinstance(root, ast.Subscript | ast.Attribute):
                    root = root.value
                if isinstance(root, ast.Name):
                    env.names[root.id] = UNKNOWN

    def call_method(self, node: ast.FunctionDef, arguments: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
        """Call a function of the script, wherever it stands: its result, and the attributes that it gives ``self``.

        Raises:
            HaltError: something that decides is unknown, or a limit is reached.
        """
        this = Object(Class(ast.ClassDef("", [], [], [], []), {}))
        own = {"self": this} if node.args.args and node.args.args[0].arg == "self" else {}
        self.steps = STEPS
        result = self._run(Function(node, self.top), [], {**arguments, **own})
        return result, this.attributes

    def call(self, callee: Any, args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """Call a value of the script or of the library."""
        result: Any = UNKNOWN
        if isinstance(callee, Partial):
            result = self.call(callee.callee, [*callee.args, *args], {**callee.keywords, **keywords})
        elif isinstance(callee, Function):
            result = self._run(callee, args, keywords)
        elif isinstance(callee, Class):
            result = Object(callee)
            if "__init__" in callee.methods:
                self._run(callee.methods["__init__"], [result, *args], keywords)
        elif isinstance(callee, Object) and "__call__" in callee.cls.methods:
            result = self._run(callee.cls.methods["__call__"], [callee, *args], keywords)
        elif isinstance(callee, Dotted) and callee.last == "partial":
            result = Partial(args[0], tuple(args[1:]), dict(keywords))
        elif isinstance(callee, Dotted) and callee.name.startswith(("numpy.", "torch.")):
            result = self._native(FUNCTIONS.get(callee.last), args, keywords)
        elif callable(callee):
            result = self._native(callee, args, keywords)
        return result

    @staticmethod
    def _native(function: Callable[..., Any] | None, args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        """Call a listed function; what it says of arguments that it refuses is not known."""
        keywords = {name: value for name, value in keywords.items() if value is not UNKNOWN}
        if function is None or any(value is UNKNOWN for value in args):
            return UNKNOWN
        try:
            return small(function(*args, **keywords))
        except Exception:  # noqa: BLE001 - whatever a listed function raises, its value is unknown
            return UNKNOWN

    def _run(self, function: Function, args: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
        if self._depth >= _DEPTH:
            raise HaltError("calls too deep")
        env = Environment({}, function.outer, function.node)
        parameters = function.node.args
        names = [a.arg for a in (*parameters.posonlyargs, *parameters.args)]
        defaults = dict(zip(reversed(names), reversed(parameters.defaults), strict=False))
        defaults.update({a.arg: d for a, d in zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True) if d})
        for name, default in defaults.items():
            env.names[name] = self.evaluate(default, function.outer)
        env.names.update(zip(names, args, strict=False))
        if parameters.vararg:
            env.names[parameters.vararg.arg] = tuple(args[len(names) :])
        if parameters.kwarg:
            env.names[parameters.kwarg.arg] = {k: v for k, v in keywords.items() if k not in names}
        env.names.update(keywords)
        self._depth += 1
        try:
            if isinstance(function.node, ast.Lambda):
                return self.evaluate(function.node.body, env)
            self.block(function.node.body, env)
        except _ReturnError as returned:
            return returned.value
        finally:
            self._depth -= 1
        return None

    def block(self, body: Sequence[ast.stmt], env: Environment) -> None:
        """Run statements."""
        for statement in body:
            self._statement(statement, env)

    def _statement(self, node: ast.stmt, env: Environment) -> None:
        self._step()
        run = self._statements.get(type(node))
        if run is None:
            raise HaltError(type(node).__name__)
        run(node, env)

    def _assign(self, node: ast.Assign, env: Environment) -> None:
        value = self.evaluate(node.value, env)
        for target in node.targets:
            self._store(target, value, env)

    def _annotated(self, node: ast.AnnAssign, env: Environment) -> None:
        if node.value is not None:
            self._store(node.target, self.evaluate(node.value, env), env)

    def _if(self, node: ast.If, env: Environment) -> None:
        self.block(node.body if self._truth(self.evaluate(node.test, env)) else node.orelse, env)

    def _return(self, node: ast.Return, env: Environment) -> None:
        raise _ReturnError(self.evaluate(node.value, env) if node.value is not None else None)

    def _jump(self, node: ast.Break | ast.Continue, env: Environment) -> None:
        raise _LoopError(isinstance(node, ast.Break))

    def _class(self, node: ast.ClassDef, env: Environment) -> None:
        methods = {m.name: Function(m, env) for m in node.body if isinstance(m, ast.FunctionDef)}
        env.names[node.name] = Class(node, methods)

    def _import(self, node: ast.Import | ast.ImportFrom, env: Environment) -> None:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                env.names.setdefault(alias.asname or alias.name, Dotted(f"{node.module}.{alias.name}"))
            else:
                full = alias.name if alias.asname else alias.name.partition(".")[0]
                env.names[alias.asname or full] = Dotted(full)

    def _step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise HaltError("too many steps")

    def _for(self, node: ast.For, env: Environment) -> None:
        iterable = self.evaluate(node.iter, env)
        if not isinstance(iterable, list | tuple | range | set | dict | np.ndarray | str | bytes):
            raise HaltError("a loop over something unknown")
        for item in list(iterable):
            self._store(node.target, item, env)
            try:
                self.block(node.body, env)
            except _LoopError as jump:
                if jump.stops:
                    return
        self.block(node.orelse, env)

    def _truth(self, value: Any) -> bool:
        if value is UNKNOWN or isinstance(value, Dotted) or (isinstance(value, np.ndarray) and value.size != 1):
            raise HaltError("a branch on something unknown")
        return bool(value)

    # -- stores ------------------------------------------------------------------------------------------------------

    def _store(self, target: ast.expr, value: Any, env: Environment) -> None:
        match target:
            case ast.Name(id=name):
                env.names[name] = value
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                if isinstance(value, tuple | list) and len(value) == len(parts):
                    for part, item in zip(parts, value, strict=True):
                        self._store(part, item, env)
                else:
                    for part in parts:
                        self._store(part, UNKNOWN, env)
            case ast.Subscript(value=owner, slice=index):
                self._store_item(self.evaluate(owner, env), self.evaluate(index, env), value)
            case ast.Attribute(value=owner, attr=name):
                made = self.evaluate(owner, env)
                if isinstance(made, Object):
                    made.attributes[name] = value

    def _store_item(self, owner: Any, index: Any, value: Any) -> None:
        if isinstance(owner, np.ndarray) and owner.dtype == bool and isinstance(value, int | float):
            value = bool(value)
        if not isinstance(owner, np.ndarray | list | dict):
            return
        if index is UNKNOWN or value is UNKNOWN:
            raise HaltError("an unknown entry of a table")
        try:
            owner[index_of(index)] = value
        except Exception as error:  # noqa: BLE001 - the script's own error
            raise HaltError(str(error)) from None

    def _augmented(self, node: ast.AugAssign, env: Environment) -> None:
        right, old = self.evaluate(node.value, env), self._loaded(node.target, env)
        value = operate(node.op, old, right)
        if isinstance(old, np.ndarray) and isinstance(node.target, ast.Name) and value is not UNKNOWN:
            value = np.asarray(value)
            if value.shape == old.shape and (old.dtype != bool or value.dtype == bool):
                old[...] = value  # in place, as numpy and torch do
                return
        self._store(node.target, value, env)

    def _loaded(self, target: ast.expr, env: Environment) -> Any:
        """The present value of what an augmented assignment changes."""
        match target:
            case ast.Subscript(value=owner, slice=index):
                return item_of(self.evaluate(owner, env), self.evaluate(index, env))
            case ast.Attribute(value=owner, attr=name):
                return self._attribute(self.evaluate(owner, env), name, env)
            case ast.Name(id=name):
                return self._name(name, env)
        return UNKNOWN

    # -- expressions -------------------------------------------------------------------------------------------------

    def evaluate(self, node: ast.expr, env: Environment) -> Any:
        """The value of an expression."""
        self._step()
        evaluate = self._expressions.get(type(node))
        return evaluate(node, env) if evaluate is not None else UNKNOWN

    def _slice(self, node: ast.Slice, env: Environment) -> Any:
        parts = [self.evaluate(p, env) if p is not None else None for p in (node.lower, node.upper, node.step)]
        return UNKNOWN if any(p is UNKNOWN for p in parts) else slice(*parts)

    def _if_exp(self, node: ast.IfExp, env: Environment) -> Any:
        return self.evaluate(node.body if self._truth(self.evaluate(node.test, env)) else node.orelse, env)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, env: Environment) -> Any:
        items: list[Any] = []
        self._comprehend(node.generators, Environment({}, env, env.function), items, node.elt)
        return small(items)

    def _name(self, name: str, env: Environment) -> Any:
        scope: Environment | None = env
        value: Any = UNKNOWN
        while scope is not None:
            if name in scope.names:
                value = scope.names[name]
                break
            scope = scope.outer
        else:
            if name in self._pending:
                value = self.top.names[name] = self.evaluate(self._pending.pop(name), self.top)
            elif name in BUILTINS:
                return BUILTINS[name]
        return self.guess(name, env.function) if value is UNKNOWN else value

    def _attribute(self, owner: Any, name: str, env: Environment) -> Any:
        if isinstance(owner, Object):
            if name in owner.attributes:
                return owner.attributes[name]
            if name in owner.cls.methods:
                return Partial(owner.cls.methods[name], (owner,), {})
        value = method(owner, name) or attribute(owner, name)
        return self.guess(name, None) if value is UNKNOWN else value

    def _call(self, node: ast.Call, env: Environment) -> Any:
        callee = self.evaluate(node.func, env)
        args: list[Any] = []
        for arg in node.args:
            value = self.evaluate(arg.value if isinstance(arg, ast.Starred) else arg, env)
            if isinstance(arg, ast.Starred) and isinstance(value, tuple | list):
                args += value
            else:
                args.append(value)
        keywords = {k.arg: self.evaluate(k.value, env) for k in node.keywords if k.arg is not None}
        if isinstance(node.func, ast.Attribute) and isinstance(callee, functools.partial):
            # Devices and types that are not known change no number.
            args = [a for a in args if a is not UNKNOWN] if node.func.attr in {"to", "astype", "type"} else args
        return self.call(callee, args, keywords)

    def _unary(self, node: ast.UnaryOp, env: Environment) -> Any:
        value = self.evaluate(node.operand, env)
        if isinstance(node.op, ast.Not):
            return not self._truth(value)
        if isinstance(value, np.ndarray | np.bool_) and isinstance(node.op, ast.Invert):
            return np.logical_not(value) if value.dtype == bool else UNKNOWN
        number = isinstance(value, int | float) or (isinstance(value, np.ndarray) and value.dtype != bool)
        return -value if number and isinstance(node.op, ast.USub) else UNKNOWN

    def _boolean(self, node: ast.BoolOp, env: Environment) -> Any:
        result: Any = UNKNOWN
        for value in node.values:
            result = self.evaluate(value, env)
            if self._truth(result) is isinstance(node.op, ast.Or):
                return result
        return result

    def _compare(self, node: ast.Compare, env: Environment) -> Any:
        left, result = self.evaluate(node.left, env), True
        for op, comparator in zip(node.ops, node.comparators, strict=True):
            right = self.evaluate(comparator, env)
            result = operate(op, left, right)
            if result is UNKNOWN or isinstance(result, np.ndarray) or not result:
                return result
            left = right
        return result

    def _dict(self, node: ast.Dict, env: Environment) -> Any:
        result = {}
        for key, value in zip(node.keys, node.values, strict=True):
            known = self.evaluate(key, env) if key is not None else UNKNOWN
            if not isinstance(known, str | int | bytes | float | tuple):
                return UNKNOWN
            result[known] = self.evaluate(value, env)
        return result

    def _formatted(self, node: ast.JoinedStr, env: Environment) -> Any:
        text = ""
        for part in node.values:
            value = self.evaluate(part.value, env) if isinstance(part, ast.FormattedValue) else self.evaluate(part, env)
            if not isinstance(value, str | int) or (isinstance(part, ast.FormattedValue) and part.format_spec):
                return UNKNOWN
            text += str(value)
        return small(text)

    def _comprehend(
        self, clauses: Sequence[ast.comprehension], env: Environment, items: list[Any], element: ast.expr
    ) -> None:
        if not clauses:
            items.append(self.evaluate(element, env))
            return
        iterable = self.evaluate(clauses[0].iter, env)
        if not isinstance(iterable, list | tuple | range | set | dict | str | bytes | np.ndarray):
            raise HaltError("a comprehension over something unknown")
        for item in list(iterable):
            self._store(clauses[0].target, item, env)
            if all(self._truth(self.evaluate(condition, env)) for condition in clauses[0].ifs):
                self._comprehend(clauses[1:], env, items, element)


__all__ = ["Interpreter"]
