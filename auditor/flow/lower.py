"""Lower a file: libcst parses, one traversal makes :mod:`auditor.flow.ir`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import libcst as cst

from auditor.flow import ir
from auditor.flow.lower_expressions import ExpressionLowering

_AUGMENTED: dict[type, str] = {
    cst.AddAssign: "+", cst.SubtractAssign: "-", cst.MultiplyAssign: "*", cst.DivideAssign: "/",
    cst.FloorDivideAssign: "//", cst.ModuloAssign: "%", cst.PowerAssign: "**", cst.MatrixMultiplyAssign: "@",
    cst.BitAndAssign: "&", cst.BitOrAssign: "|", cst.BitXorAssign: "^", cst.LeftShiftAssign: "<<",
    cst.RightShiftAssign: ">>",
}  # fmt: skip


class UnparsableError(ValueError):
    """The text is not Python; the message says where."""


@functools.lru_cache(maxsize=4)  # the same files are analysed again with other switches
def lower_source(text: str, file: str) -> ir.Module:
    """Lower one file.

    Args:
        text: Python source.
        file: the name that steps of evidence will carry.

    Raises:
        UnparsableError: libcst refuses the text, or it nests deeper than the interpreter's stack.
    """
    try:
        with _unvalidated():
            tree = cst.parse_module(text)
        return ir.Module(file, Lowering(file).module(tree), text.splitlines())
    except cst.ParserSyntaxError as error:
        raise UnparsableError(f"{file}:{error.raw_line}: {error.message.splitlines()[0]}") from error
    except RecursionError as error:
        raise UnparsableError(f"{file}: expressions nest too deeply") from error


@contextmanager
def _unvalidated() -> Iterator[None]:
    """Let libcst build nodes without checking each.

    The checks are for trees made by hand. They take a sixth of a parse, and refuse minified code that CPython accepts:
    ``x)else y``.
    """
    check = cst.CSTNode.__post_init__
    cst.CSTNode.__post_init__ = lambda self: None  # type: ignore[method-assign]  # libcst has no switch for it
    try:
        yield
    finally:
        cst.CSTNode.__post_init__ = check  # type: ignore[method-assign]


class Lowering(ExpressionLowering):
    """The traversal: statements here, expressions in the base."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self._statements: dict[type, Callable[[Any], list[ir.Stmt]]] = {
            cst.SimpleStatementLine: self._simple_line, cst.If: self._if, cst.For: self._for, cst.While: self._while,
            cst.FunctionDef: self._function, cst.ClassDef: self._class, cst.Try: self._try, cst.TryStar: self._try,
            cst.With: self._with, cst.Match: self._match,
        }  # fmt: skip
        self._small: dict[type, Callable[[Any], ir.Stmt | None]] = {
            cst.Expr: self._evaluate, cst.Assign: self._assign, cst.AnnAssign: self._annotated,
            cst.AugAssign: self._augmented, cst.Return: self._return, cst.Raise: self._raise, cst.Del: self._delete,
            cst.Import: self._import, cst.ImportFrom: self._import_from, cst.Global: self._global,
            cst.Nonlocal: self._global, cst.Assert: self._assert, cst.Break: self._break,
            cst.Continue: self._continue,
        }  # fmt: skip

    def module(self, tree: cst.Module) -> list[ir.Stmt]:
        """Lower a whole file."""
        self.line = 1 + len(tree.header)
        return self._body(tree.body)

    def _body(self, nodes: Sequence[Any]) -> list[ir.Stmt]:
        result: list[ir.Stmt] = []
        for node in nodes:
            result += self._statements[type(node)](node)
        return result

    def _suite(self, node: Any) -> list[ir.Stmt]:
        if isinstance(node, cst.IndentedBlock):
            self.line += 1
            body = self._body(node.body)
            self.line += len(node.footer)
            return body
        body = self._small_statements(node.body)
        self.line += 1
        return body

    def _small_statements(self, nodes: Iterable[Any]) -> list[ir.Stmt]:
        result = []
        for node in nodes:
            lower = self._small.get(type(node))
            statement = lower(node) if lower is not None else None
            if statement is not None:
                result.append(statement)
        return result

    def _simple_line(self, node: cst.SimpleStatementLine) -> list[ir.Stmt]:
        self.line += len(node.leading_lines)
        result = self._small_statements(node.body)
        self.line += 1
        return result

    def _evaluate(self, node: cst.Expr) -> ir.Stmt:
        line = self.line
        return ir.Evaluate(line, self.expr(node.value))

    def _assign(self, node: cst.Assign) -> ir.Stmt:
        line = self.line
        targets = []
        for target in node.targets:
            targets.append(self.expr(target.target))
            self.space(target.whitespace_before_equal)
            self.space(target.whitespace_after_equal)
        value = self.expr(node.value)
        for lowered in targets:
            self.bind(lowered, value)
        return ir.Assign(line, targets, value)

    def _annotated(self, node: cst.AnnAssign) -> ir.Stmt | None:
        line = self.line
        target = self.expr(node.target)
        self.annotation(node.annotation)
        if node.value is None:
            return None
        value = self.expr(node.value)
        self.bind(target, value)
        return ir.Assign(line, [target], value)

    def _augmented(self, node: cst.AugAssign) -> ir.Stmt:
        line = self.line
        target = self.expr(node.target)
        self.bind(target)
        self.space(getattr(node.operator, "whitespace_after", None))
        return ir.AugAssign(line, target, _AUGMENTED[type(node.operator)], self.expr(node.value))

    def _return(self, node: cst.Return) -> ir.Stmt:
        line = self.line
        return ir.Return(line, self.expr(node.value) if node.value is not None else None)

    def _raise(self, node: cst.Raise) -> ir.Stmt:
        line = self.line
        return ir.Jump(line, "raise", self.expr(node.exc) if node.exc is not None else None)

    def _break(self, node: cst.Break) -> ir.Stmt:
        return ir.Jump(self.line, "break")

    def _continue(self, node: cst.Continue) -> ir.Stmt:
        return ir.Jump(self.line, "continue")

    def _delete(self, node: cst.Del) -> ir.Stmt:
        line = self.line
        target = self.expr(node.target)
        return ir.Delete(line, target.items if isinstance(target, ir.Sequence) else [target])

    def _assert(self, node: cst.Assert) -> ir.Stmt | None:
        self.expr(node.test)
        if node.msg is not None:
            self.space(getattr(node.comma, "whitespace_after", None))
            self.expr(node.msg)
        return None

    def _global(self, node: cst.Global | cst.Nonlocal) -> None:
        if self.functions:
            self.functions[-1].global_names |= {item.name.value for item in node.names}

    def _import(self, node: cst.Import) -> ir.Stmt:
        names: list[tuple[str, str | None]] = [(_dotted(a.name), _alias(a)) for a in node.names]
        self._bind_imports([bound or dotted.split(".")[0] for dotted, bound in names])
        return ir.Import(self.line, None, 0, names)

    def _import_from(self, node: cst.ImportFrom) -> ir.Stmt:
        line = self.line
        module = _dotted(node.module) if node.module is not None else ""
        if isinstance(node.names, cst.ImportStar):
            return ir.Import(line, module, len(node.relative), [("*", None)])
        if node.lpar is not None:
            self.space(node.lpar.whitespace_after)
        names = []
        for alias in node.names:
            names.append((_dotted(alias.name), _alias(alias)))
            self.comma(alias.comma)
        if node.rpar is not None:
            self.space(node.rpar.whitespace_before)
        self._bind_imports([bound or dotted for dotted, bound in names])
        return ir.Import(line, module, len(node.relative), names)

    def _bind_imports(self, names: list[str]) -> None:
        for name in names:
            self.bind_name(name)

    def _if(self, node: cst.If) -> list[ir.Stmt]:
        self.line += len(node.leading_lines)
        line = self.line
        test = self.expr(node.test)
        body = self._suite(node.body)
        return [ir.If(line, test, body, self._orelse(node.orelse))]

    def _orelse(self, node: cst.If | cst.Else | None) -> list[ir.Stmt]:
        if node is None:
            return []
        if isinstance(node, cst.If):
            return self._if(node)
        self.line += len(node.leading_lines)
        return self._suite(node.body)

    def _for(self, node: cst.For) -> list[ir.Stmt]:
        self.line += len(node.leading_lines)
        line = self.line
        self.bound.append({})
        target = self.expr(node.target)
        self.bind(target)
        iterable = self.expr(node.iter)
        body = self._suite(node.body)
        assigned = self.bound.pop()
        return [ir.Loop(line, target, iterable, body, self._orelse(node.orelse), assigned)]

    def _while(self, node: cst.While) -> list[ir.Stmt]:
        self.line += len(node.leading_lines)
        line = self.line
        self.bound.append({})
        test = self.expr(node.test)
        body = self._suite(node.body)
        assigned = self.bound.pop()
        return [ir.Loop(line, None, test, body, self._orelse(node.orelse), assigned)]

    def _decorators(self, nodes: Iterable[cst.Decorator]) -> list[ir.Expr]:
        result = []
        for node in nodes:
            self.line += len(node.leading_lines)
            result.append(self.expr(node.decorator))
            self.line += 1
        return result

    def _function(self, node: cst.FunctionDef) -> list[ir.Stmt]:
        self.line += len(node.leading_lines)
        decorators = self._decorators(node.decorators)
        self.line += len(node.lines_after_decorators)
        line = self.line
        name = node.name.value
        self.bind_name(name)
        self.space(node.whitespace_before_params)
        function = ir.Function(line, name, self.parameters(node.params), decorators, self.file)
        self.annotation(node.returns)
        outer, self.bound = self.bound, [{}]
        self.functions.append(function)
        function.body = self._suite(node.body)
        self.functions.pop()
        self.bound = outer
        return [function]

    def _class(self, node: cst.ClassDef) -> list[ir.Stmt]:
        self.line += len(node.leading_lines)
        decorators = self._decorators(node.decorators)
        self.line += len(node.lines_after_decorators)
        line = self.line
        self.bind_name(node.name.value)
        bases, _ = self.arguments(node.bases)
        self.arguments(node.keywords)
        outer, self.bound = self.bound, [{}]
        body = self._suite(node.body)
        self.bound = outer
        return [ir.Class(line, node.name.value, bases, decorators, body, _fields(node.body))]

    def _try(self, node: Any) -> list[ir.Stmt]:
        self.line += len(node.leading_lines)
        line = self.line
        body = self._suite(node.body)
        handlers = []
        for handler in node.handlers:
            self.line += len(handler.leading_lines)
            kind = self.expr(handler.type) if handler.type is not None else None
            name = None
            if handler.name is not None:
                bound = self.expr(handler.name.name)
                self.bind(bound)
                name = bound.id if isinstance(bound, ir.Name) else None
            handlers.append((kind, name, self._suite(handler.body)))
        orelse = self._orelse(node.orelse)
        final: list[ir.Stmt] = []
        if node.finalbody is not None:
            self.line += len(node.finalbody.leading_lines)
            final = self._suite(node.finalbody.body)
        return [ir.Try(line, body, handlers, orelse, final)]

    def _with(self, node: cst.With) -> list[ir.Stmt]:
        self.line += len(node.leading_lines)
        line = self.line
        if isinstance(node.lpar, cst.LeftParen):
            self.space(node.lpar.whitespace_after)
        items: list[tuple[ir.Expr, ir.Expr | None]] = []
        for item in node.items:
            context = self.expr(item.item)
            target = None
            if item.asname is not None:
                target = self.expr(item.asname.name)
                self.bind(target)
            items.append((context, target))
            self.comma(item.comma)
        if isinstance(node.rpar, cst.RightParen):
            self.space(node.rpar.whitespace_before)
        return [ir.With(line, items, self._suite(node.body))]

    def _match(self, node: cst.Match) -> list[ir.Stmt]:
        self.line += len(node.leading_lines)
        line = self.line
        subject = self.expr(node.subject)
        self.line += 1
        cases = []
        for case in node.cases:
            self.line += len(case.leading_lines)
            cases.append(self._suite(case.body))
        self.line += len(node.footer)
        return [ir.Match(line, subject, cases)]


def _fields(body: Any) -> list[str]:
    """The names that a class body annotates."""
    lines = [body] if isinstance(body, cst.SimpleStatementSuite) else body.body
    statements = [small for line in lines if not isinstance(line, cst.BaseCompoundStatement) for small in line.body]
    annotated = [small.target for small in statements if isinstance(small, cst.AnnAssign)]
    return [target.value for target in annotated if isinstance(target, cst.Name)]


def _dotted(node: Any) -> str:
    return f"{_dotted(node.value)}.{node.attr.value}" if isinstance(node, cst.Attribute) else str(node.value)


def _alias(node: cst.ImportAlias) -> str | None:
    return node.asname.name.value if node.asname is not None and isinstance(node.asname.name, cst.Name) else None
