"""Concrete syntax into the nodes of :mod:`auditor.kernels.ir`, one function at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import tree_sitter_c
from tree_sitter import Language, Node, Parser

from auditor.kernels import ir

_DEEPEST = 120
_LANGUAGE = Language(tree_sitter_c.language())
_TRANSPARENT = frozenset(
    {"parenthesized_expression", "cast_expression", "initializer_pair", "subscript_designator", "expression_statement"}
)


def parse(data: bytes) -> Node:
    """The root of the syntax tree; the grammar never fails, it leaves nodes of kind ERROR."""
    return Parser(_LANGUAGE).parse(data).root_node


def find(root: Node, kinds: frozenset[str], *, inside: bool = False) -> Iterator[Node]:
    """Nodes of some kinds in order, without recursion; ``inside`` looks into those found, too."""
    stack = [root]
    while stack:
        node = stack.pop()
        if node.type in kinds:
            yield node
            if not inside:
                continue
        stack.extend(reversed(node.named_children))


def text_of(node: Node | None) -> str:
    """Source text of a node."""
    return node.text.decode("utf-8", "replace") if node is not None and node.text is not None else ""


def depth_of(node: Node, limit: int) -> int:
    """How deep a tree is nested, up to ``limit``."""
    level, depth = [node], 0
    while level and depth < limit:
        level = [child for parent in level for child in parent.named_children]
        depth += 1
    return depth


@dataclass
class Lowering:
    """Lowers the functions of one tree.

    Attributes:
        references: offsets of the stars that stand for C++ references.
        first_line: added to every line; 1 for a whole file.
    """

    references: frozenset[int] = frozenset()
    first_line: int = 1
    problems: list[str] = field(default_factory=list)

    def function(self, node: Node) -> ir.Function | None:
        """One ``function_definition``; None when it has no name or no body."""
        declarator = _function_declarator(node.child_by_field_name("declarator"))
        body = node.child_by_field_name("body")
        if declarator is None or body is None:
            return None
        name = text_of(declarator.child_by_field_name("declarator"))
        parameters = declarator.child_by_field_name("parameters")
        self.problems = []
        if depth_of(body, _DEEPEST) >= _DEEPEST:
            self.problems.append(f"{name} is nested too deep")
            statements: tuple[ir.Stmt, ...] = ()
        else:
            statements = self.block(body)
            self._errors(body)
        line = self.line(node)
        return ir.Function(name, self.parameters(parameters), statements, line, tuple(dict.fromkeys(self.problems))[:5])

    def line(self, node: Node) -> int:
        """Line of a node in the file."""
        return node.start_point.row + self.first_line

    def _errors(self, body: Node) -> None:
        """Note where the grammar gave up: what stands there is not interpreted as it was meant."""
        stack = [body]
        while stack:
            node = stack.pop()
            if node.is_missing or node.type == "ERROR":
                self.problems.append(f"line {self.line(node)} is not read by a C grammar")
            elif node.has_error:
                stack.extend(reversed(node.children))

    def parameters(self, node: Node | None) -> tuple[ir.Parameter, ...]:
        """The parameters of a function."""
        out = []
        for child in node.named_children if node is not None else ():
            if child.type != "parameter_declaration":
                continue
            declarator = child.child_by_field_name("declarator")
            stars = list(find(child, frozenset({"pointer_declarator"}), inside=True))
            reference = any(n.start_byte in self.references for n in stars)
            name = next(find(declarator, frozenset({"identifier"})), None) if declarator is not None else None
            array = any(find(child, frozenset({"array_declarator"})))
            before = text_of(child).partition("*")[0]
            out.append(
                ir.Parameter(
                    text_of(name),
                    text_of(child.child_by_field_name("type")),
                    (bool(stars) and not reference) or array,
                    "const" in before.split(),
                    reference,
                )
            )
        return tuple(out)

    def block(self, node: Node) -> tuple[ir.Stmt, ...]:
        """Statements of a node: a compound statement or a single statement."""
        if node.type in {"compound_statement", "translation_unit", "ERROR", "else_clause"}:
            return tuple(s for child in node.named_children for s in self.block(child))
        return self.statement(node)

    def statement(self, node: Node) -> tuple[ir.Stmt, ...]:  # noqa: PLR0911 - one per kind of statement
        """One statement; a declaration gives several."""
        line = self.line(node)
        match node.type:
            case "comment" | "type_definition" | "struct_specifier" | "preproc_call" | "preproc_directive":
                return ()
            case "declaration":
                return self._declaration(node)
            case "if_statement":
                test = self._part(node, "condition")
                return (ir.If(test, self._body(node, "consequence"), self._body(node, "alternative"), line),)
            case "for_statement":
                start = node.child_by_field_name("initializer")
                begin: tuple[ir.Stmt, ...] = ()
                if start is not None:
                    begin = (
                        self._declaration(start)
                        if start.type == "declaration"
                        else (ir.Evaluate(self.expression(start)),)
                    )
                return (
                    ir.Loop(
                        begin,
                        self._optional(node, "condition"),
                        self._optional(node, "update"),
                        self._body(node, "body"),
                        line,
                    ),
                )
            case "while_statement" | "do_statement":
                return (ir.Loop((), self._part(node, "condition"), None, self._body(node, "body"), line),)
            case "switch_statement":
                body = node.child_by_field_name("body")
                cases = tuple(
                    tuple(s for part in case.named_children for s in self.block(part))
                    for case in (body.named_children if body is not None else ())
                    if case.type == "case_statement"
                )
                return (ir.Switch(self._part(node, "condition"), cases, line),)
            case "return_statement":
                value = self.expression(node.named_children[0]) if node.named_children else None
                return (ir.Jump("return", value, line),)
            case "break_statement" | "continue_statement" | "goto_statement":
                if node.type == "goto_statement":
                    self.problems.append(f"line {line} jumps with goto")
                return (ir.Jump(node.type.partition("_")[0], None, line),)
            case "compound_statement" | "labeled_statement" | "ERROR" | "preproc_if" | "preproc_ifdef" | "preproc_else":
                skip = {node.child_by_field_name("label"), node.child_by_field_name("name")}
                return tuple(s for child in node.named_children if child not in skip for s in self.block(child))
            case _:
                return (ir.Evaluate(self.expression(node)),)

    def _declaration(self, node: Node) -> tuple[ir.Stmt, ...]:
        out: list[ir.Stmt] = []
        for child in node.children_by_field_name("declarator"):
            value = child.child_by_field_name("value") if child.type == "init_declarator" else None
            name = next(find(child, frozenset({"identifier"})), None)
            if name is not None:
                lowered = self.expression(value) if value is not None else None
                stars = list(find(child, frozenset({"pointer_declarator"}), inside=True))
                reference = any(n.start_byte in self.references for n in stars)
                element = text_of(node.child_by_field_name("type")) if stars and not reference else ""
                constant = "const" in text_of(node).partition("*")[0].split()
                out.append(ir.Declare(text_of(name), lowered, self.line(child), reference, element, constant))
        return tuple(out)

    def _body(self, node: Node, name: str) -> tuple[ir.Stmt, ...]:
        child = node.child_by_field_name(name)
        return self.block(child) if child is not None else ()

    def _optional(self, node: Node, name: str) -> ir.Expr | None:
        child = node.child_by_field_name(name)
        return self.expression(child) if child is not None else None

    def _part(self, node: Node, name: str) -> ir.Expr:
        return self._optional(node, name) or ir.Number(None)

    def expression(self, node: Node) -> ir.Expr:  # noqa: PLR0911, PLR0912 - one per kind of expression
        """One expression."""
        line = self.line(node)
        match node.type:
            case "identifier" | "field_identifier" | "null" | "this":
                return ir.Name(text_of(node), line)
            case "number_literal" | "char_literal" | "true" | "false" | "string_literal" | "concatenated_string":
                return ir.Number(_integer(text_of(node)))
            case "sizeof_expression" | "type_descriptor" | "alignof_expression":
                return ir.Number(None)
            case "subscript_expression":
                return ir.Index(self._part(node, "argument"), self._part(node, "index"), line)
            case "field_expression":
                return ir.Field(self._part(node, "argument"), text_of(node.child_by_field_name("field")), line)
            case "pointer_expression":
                inner = self._part(node, "argument")
                star = text_of(node.child_by_field_name("operator")) == "*"
                return ir.Index(inner, ir.Number(0), line) if star else ir.Address(inner)
            case "assignment_expression":
                operator = text_of(node.child_by_field_name("operator")).rstrip("=")
                return ir.Assign(self._part(node, "left"), operator, self._part(node, "right"), line)
            case "update_expression":
                operator = text_of(node.child_by_field_name("operator"))
                target = node.child_by_field_name("argument")
                after = target is not None and text_of(node).startswith(text_of(target))
                return ir.Assign(self._part(node, "argument"), operator[0], ir.Number(1), line, after)
            case "conditional_expression":
                parts = ("condition", "consequence", "alternative")
                return ir.Operation("?:", tuple(self._part(node, part) for part in parts), line)
            case "call_expression":
                return self._call(node)
            case "binary_expression" | "unary_expression":
                operator = text_of(node.child_by_field_name("operator"))
                names = ("left", "right") if node.type == "binary_expression" else ("argument",)
                return ir.Operation(operator, tuple(self._part(node, name) for name in names), line)
            case kind if kind in _TRANSPARENT:
                inner_node = node.child_by_field_name("value") or (
                    node.named_children[-1] if node.named_children else None
                )
                return self.expression(inner_node) if inner_node is not None else ir.Number(None)
            case _:
                operands = tuple(self.expression(child) for child in node.named_children if child.type != "comment")
                return ir.Operation("{}" if node.type == "initializer_list" else ",", operands, line)

    def _call(self, node: Node) -> ir.Expr:
        function = node.child_by_field_name("function")
        arguments = node.child_by_field_name("arguments")
        operands = tuple(
            self.expression(child)
            for child in (arguments.named_children if arguments is not None else ())
            if child.type != "comment"
        )
        line = self.line(node)
        if function is not None and function.type == "field_expression":
            receiver = self._part(function, "argument")
            return ir.Call(text_of(function.child_by_field_name("field")), operands, line, receiver)
        if function is not None and function.type == "parenthesized_expression":
            # A C++ cast by name, blanked, leaves `(T*)(x)`-like calls: the last operand is the value.
            return ir.Operation(",", (self.expression(function), *operands), line)
        return ir.Call(text_of(function), operands, line)


def _function_declarator(node: Node | None) -> Node | None:
    while node is not None and node.type != "function_declarator":
        node = node.child_by_field_name("declarator")
    return node


def _integer(text: str) -> int | None:
    if text in {"true", "false"}:
        return int(text == "true")
    try:
        return int(text.rstrip("uUlL").replace("'", ""), 0)
    except ValueError:
        return 0 if text.rstrip("fF") in {"0.0", "0.", ".0"} else None
