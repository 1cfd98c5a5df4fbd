"""What a script names: the modules it imports, the files it quotes, the C it carries in strings. One walk."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from auditor.submission.folder import NATIVE_SUFFIXES

_CODE_SUFFIXES = frozenset({".py", *NATIVE_SUFFIXES})
_COMMANDS = frozenset({"system", "run", "call", "check_call", "check_output", "Popen"})
_NATIVE_MARK = re.compile(
    r"^\s*#\s*include\s*[<\"]|__global__\s+|extern\s+\"C\"|PYBIND11_MODULE|TORCH_LIBRARY"
    r"|^\s*(?:static\s+|inline\s+)*(?:void|int|float|double|uint\d+_t|int\d+_t|size_t|long)\s+\*?\w+\s*\([^;{}]*\)\s*\{",
    re.MULTILINE,
)
_CUDA_MARK = re.compile(r"__global__|__device__|cuda_runtime|blockIdx")
_CPP_MARK = re.compile(
    r"extern\s+\"C\"|std::|template\s*<|namespace\s|PYBIND11|TORCH_LIBRARY|#include\s*<(?:torch|vector)"
)
_EXECUTORS = frozenset({"exec", "eval"})
_RUNNERS = frozenset({"run_path", "run_module", "exec_module", "spec_from_file_location", "SourceFileLoader"})
_DECODERS = frozenset({"b85decode", "a85decode", "b64decode", "standard_b64decode", "urlsafe_b64decode", "b32decode"})
_SHORTEST_NATIVE = 60


@dataclass(frozen=True, slots=True)
class NativeLiteral:
    """C, C++ or CUDA in a string literal.

    Attributes:
        text: the literal's value.
        language: ``"c"``, ``"c++"`` or ``"cuda"``.
        line: 1-based line of the literal's first character.
        column: its 0-based column, in UTF-8 bytes.
        verbatim: the literal's lines are the script's lines, so that line ``i`` of the text (0-based) is ``line + i``.
    """

    text: str
    language: str
    line: int
    column: int
    verbatim: bool


@dataclass(frozen=True, slots=True)
class Outline:
    """What one script names.

    Attributes:
        modules: dotted module names it imports, with the names imported from them appended as further candidates; a
            relative import begins with dots.
        quoted: names of code files that its string literals spell.
        natives: C, C++ and CUDA literals.
        executes: it calls ``exec`` or the like, or decodes text: there may be code to unwrap.
        depth: syntax nodes nested; the operands of a chain of ``and`` or ``or`` count as nested, as parsers treat them.
    """

    modules: tuple[str, ...]
    quoted: tuple[str, ...]
    natives: tuple[NativeLiteral, ...]
    executes: bool
    depth: int


def outline(tree: ast.Module) -> Outline:
    """Walk the tree once, in no particular order of nodes but with a stable result."""
    modules: dict[str, None] = {}
    quoted: dict[str, None] = {}
    natives: list[NativeLiteral] = []
    executes = False
    deepest = 0
    waiting: list[tuple[ast.AST, int]] = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                _literal(node, node.value, quoted, natives)
            continue
        if isinstance(node, ast.Name | ast.Load | ast.Store | ast.Pass):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring names files to readers only
        if isinstance(node, ast.Import):
            modules.update((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            dot = "" if not base or base.endswith(".") else "."
            modules.update({base: None} | {f"{base}{dot}{alias.name}": None for alias in node.names})
        elif isinstance(node, ast.Call):
            _command(node, quoted)
            executes = executes or _may_execute(node.func)
        depth += len(node.values) if isinstance(node, ast.BoolOp) else 1
        deepest = max(deepest, depth)
        for name in node._fields:
            child = getattr(node, name, None)
            if isinstance(child, list):
                waiting.extend((item, depth) for item in child if isinstance(item, ast.AST))
            elif isinstance(child, ast.AST):
                waiting.append((child, depth))
    natives.sort(key=lambda native: (native.line, native.column))
    return Outline(tuple(sorted(modules)), tuple(sorted(quoted)), tuple(natives), executes, deepest)


def language_of(name: str, text: str) -> str:
    """``"c"``, ``"c++"`` or ``"cuda"``, by the file's name (empty for a literal) and what the text uses."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in {".cu", ".cuh"} or _CUDA_MARK.search(text):
        return "cuda"
    if suffix in {".cc", ".cpp", ".cxx", ".hpp"}:
        return "c++"
    return "c" if suffix == ".c" or not _CPP_MARK.search(text) else "c++"


def _literal(node: ast.Constant, text: str, quoted: dict[str, None], natives: list[NativeLiteral]) -> None:
    if len(text) <= 200 and PurePosixPath(text).suffix.lower() in _CODE_SUFFIXES and " " not in text:
        quoted[text] = None
    elif len(text) >= _SHORTEST_NATIVE and "(" in text and _NATIVE_MARK.search(text) and ";" in text:
        verbatim = text.count("\n") == (node.end_lineno or node.lineno) - node.lineno
        natives.append(NativeLiteral(text, language_of("", text), node.lineno, node.col_offset, verbatim))


def _may_execute(function: ast.expr) -> bool:
    """``model.eval()`` and ``re.compile()`` are not what is looked for."""
    if isinstance(function, ast.Attribute):
        return function.attr in _RUNNERS or function.attr in _DECODERS
    return isinstance(function, ast.Name) and function.id in _EXECUTORS | _RUNNERS | _DECODERS


def _command(node: ast.Call, quoted: dict[str, None]) -> None:
    """Words of a command line that name code, and a module imported by its name."""
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    first = node.args[0] if node.args else None
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str) or len(first.value) > 2000:
        return
    if name in _COMMANDS:
        words = re.split(r"[\s'\"=;]+", first.value)
        quoted.update((word, None) for word in words if PurePosixPath(word).suffix.lower() in _CODE_SUFFIXES)
    elif name in {"import_module", "__import__", "run_module"}:
        quoted[first.value.replace(".", "/") + ".py"] = None
