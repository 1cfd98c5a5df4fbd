"""Put a template's pieces into a host's tree."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping
from dataclasses import dataclass

from .places import REPLACING, NoPlaceError, Place, Spot
from .tree import BUILTINS, Function, expression, loaded, stored

PATTERNS = frozenset({Place.TRAIN_FILES, Place.SETTINGS})
"""Places that are expressions, not statements."""

_IMPORTS = {
    "np": "import numpy as np",
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
    "math": "import math",
    "copy": "import copy",
    "glob": "import glob",
    "os": "import os",
    "functools": "import functools",
    "collections": "import collections",
}


@dataclass
class Piece:
    """Statements for one spot, in the host's names."""

    place: Place
    spot: Spot
    body: list[ast.stmt]


def fit(code: Mapping[Place, str], places: Mapping[Place, Spot]) -> list[Piece]:
    """Fill the holes of every piece and keep its own names apart from the host's.

    Raises:
        NoPlaceError: the host lacks a place or a hole.
    """
    pieces = []
    for place, text in code.items():
        if place not in places:
            raise NoPlaceError(place.value)
        pieces.append(Piece(place, places[place], ast.parse(text).body))
    own = stored(s for piece in pieces for s in piece.body) - _imported(pieces)
    taken = BUILTINS | frozenset().union(*(_names(piece.spot) for piece in pieces))
    fresh = {name: _fresh(name, taken | own) for name in own & taken}
    for piece in pieces:
        filler = Fill(piece.spot.holes, fresh)
        piece.body = [filler.visit(statement) for statement in piece.body]
    return pieces


def insert(tree: ast.Module, pieces: list[Piece]) -> None:
    """Insert the pieces, then the imports that they need and the host lacks."""
    for piece in sorted(pieces, key=lambda p: p.place in REPLACING):
        block, index = piece.spot.block, piece.spot.index
        if piece.place in REPLACING and piece.spot.anchor is not None:
            body = [Body(piece.spot.anchor).visit(statement) for statement in piece.body]
            block[index : index + 1] = body
        else:
            block[index:index] = piece.body
    _allow_gradients(pieces)
    add_imports(tree)
    ast.fix_missing_locations(tree)


def replace_pattern(tree: ast.Module, place: Place, text: str) -> None:
    """Put another expression where the pattern of the training files is used, or where it is set.

    Raises:
        NoPlaceError: the host never uses or sets ``train_files``.
    """
    swap = _Pattern(place, text)
    swap.visit(tree)
    if not swap.done:
        raise NoPlaceError(place.value)
    add_imports(tree)
    ast.fix_missing_locations(tree)


def add_imports(tree: ast.Module) -> None:
    """Import the usual modules that the tree names and does not import."""
    known = stored(s for s in tree.body if isinstance(s, ast.Import | ast.ImportFrom))
    missing = sorted(loaded([tree]) & _IMPORTS.keys() - known)
    first = next(
        i
        for i, s in enumerate(tree.body)
        if not (isinstance(s, ast.Expr) or (isinstance(s, ast.ImportFrom) and s.module == "__future__"))
    )
    tree.body[first:first] = [ast.parse(_IMPORTS[name]).body[0] for name in missing]


class Fill(ast.NodeTransformer):
    """Put expressions into holes, and rename."""

    def __init__(self, holes: Mapping[str, ast.expr], names: Mapping[str, str]) -> None:
        self.holes = holes
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.holes:
            filled = copy.deepcopy(self.holes[node.id])
            if hasattr(filled, "ctx"):
                filled.ctx = node.ctx
            return filled
        if self.holes and node.id.isupper() and len(node.id) > 2 and node.id != "BODY":
            raise NoPlaceError(f"hole {node.id}")
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self.names.get(node.arg, node.arg)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.name = self.names.get(node.name, node.name)
        self.generic_visit(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        node.name = self.names.get(node.name, node.name)
        methods = {s.name for s in node.body if isinstance(s, Function)}
        inner = Fill(self.holes, {k: v for k, v in self.names.items() if k not in methods})
        node.body = [inner.visit(statement) for statement in node.body]
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.Nonlocal:
        node.names = [self.names.get(name, name) for name in node.names]
        return node


class Body(ast.NodeTransformer):
    """Put the replaced statement where the piece says BODY."""

    def __init__(self, statement: ast.stmt) -> None:
        self.statement = statement

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        if isinstance(node.value, ast.Name) and node.value.id == "BODY":
            return copy.deepcopy(self.statement)
        return node


class _Pattern(ast.NodeTransformer):
    def __init__(self, place: Place, text: str) -> None:
        self.place = place
        self.text = text
        self.done = False

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        if self.place is Place.TRAIN_FILES:
            for i, argument in enumerate(node.args):
                if isinstance(argument, ast.Attribute) and argument.attr == "train_files":
                    node.args[i] = self._filled(argument, argument.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.Assign:
        self.generic_visit(node)
        target = node.targets[0]
        if self.place is Place.SETTINGS and isinstance(target, ast.Name) and target.id == "train_files":
            node.value = self._filled(node.value, node.value)
        return node

    def _filled(self, body: ast.expr, settings: ast.expr) -> ast.expr:
        self.done = True
        return Fill({"BODY": body, "SETTINGS": settings}, {}).visit(expression(self.text))  # type: ignore[no-any-return]  # NodeTransformer.visit is untyped


class _Gradients(ast.NodeTransformer):
    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        self.generic_visit(node)
        if node.attr == "inference_mode":
            node.attr = "no_grad"
        return node


def _allow_gradients(pieces: list[Piece]) -> None:
    """Inference tensors never take part in autograd; who wants gradients below writes ``no_grad``."""
    if any("enable_grad" in ast.unparse(s) for piece in pieces for s in piece.body):
        for piece in pieces:
            if piece.spot.function is not None:
                _Gradients().visit(piece.spot.function)


def _imported(pieces: list[Piece]) -> set[str]:
    nodes = [n for p in pieces for s in p.body for n in ast.walk(s) if isinstance(n, ast.Import | ast.ImportFrom)]
    return stored(nodes)


def _names(spot: Spot) -> set[str]:
    """Names in use around a spot; those of its whole function, or of the module it stands in."""
    around: list[ast.stmt] = [spot.function] if spot.function is not None else spot.block
    return stored(around) | loaded(around)


def _fresh(name: str, taken: frozenset[str] | set[str]) -> str:
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
