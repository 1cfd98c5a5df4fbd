"""One file or literal of C, lowered: its functions, macros and variables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tree_sitter import Node

from auditor.findings import Step
from auditor.kernels import ir
from auditor.kernels.cplusplus import to_c
from auditor.kernels.expressions import is_token_name
from auditor.kernels.lower import Lowering, find, parse, text_of

WIDE = re.compile(r"\b(?:u?int(?:16|32|64)_t|int|long|short|unsigned|[ui](?:16|32|64)|size_t)\b")
PREFIX_NAMES = re.compile(r"(?:^|_)(?:inputs?|prev\w*|ctx|context|prefix|past|history|x|xs)_*$")
_CPLUSPLUS = re.compile(
    r"\b(?:class\s+\w+|std::|static_cast|constexpr|nullptr|auto|template\s*<|extern\s*\"C\"|bool)\b"
)
_MACRO_NAMES = frozenset({"preproc_def", "preproc_function_def"})


def read_unit(source: str, name: str, line_offset: int = 0) -> Unit:
    """A translation unit. Never raises, whatever the text.

    Args:
        source: the code, of C or C++.
        name: the file in evidence.
        line_offset: added to every line, for a literal inside another file.
    """
    text, references = to_c(source) if _CPLUSPLUS.search(source) else (source, frozenset[int]())
    root = parse(text.encode("utf-8", "replace"))
    lowering = Lowering(references, line_offset + 1)
    unit = Unit(name, source.split("\n"), line_offset)
    unit.read(root, lowering)
    unit.lost = list(_lost(root, lowering))
    return unit


@dataclass
class Unit:
    """A translation unit."""

    name: str
    lines: list[str]
    offset: int
    functions: dict[str, ir.Function] = field(default_factory=dict)
    macros: dict[str, ir.Expr] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    """Variables outside functions that hold tokens."""
    constants: set[str] = field(default_factory=set)
    lost: list[str] = field(default_factory=list)
    """What could not be placed."""

    def read(self, root: Node, lowering: Lowering) -> None:
        """Take in what a tree declares."""
        for node in find(root, frozenset({"function_definition", "declaration", "field_declaration"}) | _MACRO_NAMES):
            if node.type == "function_definition":
                function = lowering.function(node)
                if function is not None and function.name:
                    self.functions[function.name] = function
            elif node.type in _MACRO_NAMES:
                self._macro(node, lowering)
            elif node.type == "declaration":
                self._variable(node)

    def _variable(self, node: Node) -> None:
        text = text_of(node)
        for declarator in node.children_by_field_name("declarator"):
            name = text_of(next(find(declarator, frozenset({"identifier"})), None))
            if "const" in text.split("=")[0].split() and "*" not in text.split("=")[0]:
                self.constants.add(name)
            if is_token_name(name) and not PREFIX_NAMES.search(name) and WIDE.search(text):
                self.tokens.add(name)

    def _macro(self, node: Node, lowering: Lowering) -> None:
        name, value = text_of(node.child_by_field_name("name")), text_of(node.child_by_field_name("value"))
        row = node.start_point.row + lowering.first_line
        value = value.replace("\\\n", "  ")
        inner = Lowering(first_line=row)
        for body in (f"{{ return {value} ; }}", f"{{ {value} ; }}"):
            unit = parse(f"void f(void) {body.replace(chr(10), ' ')}".encode())
            if not unit.has_error:
                break
        else:
            return
        function = inner.function(unit.named_children[0])
        if function is None:
            return
        if node.type == "preproc_def":
            if len(function.body) == 1 and isinstance(function.body[0], ir.Jump) and function.body[0].value is not None:
                self.macros[name] = function.body[0].value
            return
        parameters = node.child_by_field_name("parameters")
        names = [text_of(child) for child in parameters.named_children] if parameters is not None else []
        every = tuple(ir.Parameter(n, "", pointer=False, constant=False, reference=True) for n in names)
        self.functions[name] = ir.Function(name, every, function.body, row, macro=True)

    def step(self, line: int, why: str) -> Step:
        """A step of evidence."""
        at = line - self.offset - 1
        text = self.lines[at].strip() if 0 <= at < len(self.lines) else ""
        return Step(self.name, line, text[:200], why)


def _lost(root: Node, lowering: Lowering) -> Iterator[str]:
    """Code outside any function that the grammar read could not place."""
    for node in find(root, frozenset({"ERROR", "function_definition"})):
        text = text_of(node)
        if node.type == "ERROR" and re.search(r"\b(?:for|while)\b", text) and "[" in text:
            yield f"line {lowering.line(node)} is not read by a C grammar"
