"""Variations that keep a program's meaning: other names, helpers, aliases, wrappers, another order."""

from __future__ import annotations

import ast
import copy
import enum
import random
from collections.abc import Sequence

from .insert import Fill, Piece
from .places import GLOBAL, REPLACING
from .tree import BUILTINS, Function, called, loaded, stored


class Variation(enum.StrEnum):
    """What is done to a mutant beyond inserting the template."""

    PLAIN = "plain"
    RENAMED = "renamed"
    EXTRACTED = "extracted"
    PARTIAL = "partial"
    LAMBDA = "lambda"
    CLASS = "class"
    ALIASED = "aliased"
    REORDERED = "reordered"


EXTRACTS = frozenset({Variation.EXTRACTED, Variation.PARTIAL, Variation.LAMBDA, Variation.CLASS})
"""Variations that move a block into a helper, told apart by how the helper is called."""

_PURE = frozenset(
    {
        *("zeros", "ones", "full", "zeros_like", "array", "arange", "range", "len", "tolist", "item"),
        *("cpu", "numpy", "astype", "float", "long", "to", "detach", "uint64", "int64"),
        *("exp", "log", "clip", "maximum", "minimum", "max", "min", "sum", "mean", "softmax", "log_softmax"),
        *("gather", "squeeze", "unsqueeze", "reshape"),
    }
)
"""Calls without side effects: what the templates' assignments call."""
_WORDS = tuple(f"{a}{b}" for a in ("acc", "buf", "cell", "cur", "lane", "node", "slot", "unit") for b in "aeiou")


def alias(pieces: Sequence[Piece], holes: Sequence[str], rng: random.Random) -> bool:
    """Read what a hole stands for through two names in a row: ``a = targets; b = a``; whether there was anything."""
    done = False
    for piece in pieces:
        if piece.place in GLOBAL | REPLACING:
            continue
        for hole in holes:
            value = piece.spot.holes.get(hole)
            if value is None or isinstance(value, ast.Name):
                continue
            text = ast.unparse(value)
            first, second = f"seen_{rng.randrange(100)}", f"taken_{rng.randrange(100)}"
            swap = _Same(text, second)
            body = [swap.visit(statement) for statement in piece.body]
            if swap.count:
                head = ast.parse(f"{first} = {text}\n{second} = {first}").body
                piece.body = [*head, *body]
                done = True
    return done


class _Same(ast.NodeTransformer):
    """Replace expressions that read the same."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self.count = 0

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.expr) and ast.unparse(node) == self.text:
            self.count += 1
            return ast.Name(self.name, ast.Load())
        return super().generic_visit(node)


def extract(tree: ast.Module, pieces: Sequence[Piece], how: Variation, rng: random.Random) -> bool:
    """Move the longest piece that allows it into a helper at module level.

    What the block reads becomes parameters, what it binds for others is returned; a block that jumps out of itself
    stays.

    Returns:
        whether a piece was moved.
    """
    movable = [p for p in pieces if p.place not in GLOBAL | REPLACING and _movable(p.body) and p.spot.function]
    if not movable:
        return False
    piece = max(movable, key=lambda p: len(ast.unparse(ast.Module(p.body, []))))
    function = piece.spot.function
    if function is None:
        return False
    visible = stored([function]) | stored(s for p in pieces if p.place not in GLOBAL for s in p.body)
    bound = stored(piece.body)
    inputs = sorted((_reads(piece.body) & visible) - BUILTINS)
    top = {n for s in piece.body if not isinstance(s, Function | ast.ClassDef) for n in _targets(s)}
    wanted = loaded([function]) | loaded(s for p in pieces if p is not piece for s in p.body)
    outputs = sorted(name for name in bound & wanted if name in inputs or name in top)
    name = f"_{rng.choice(_WORDS)}_{rng.choice(_WORDS)}_step"
    returned = f"return ({''.join(n + ', ' for n in outputs)})" if outputs else "return None"
    header = ast.parse(f"def {name}({', '.join(inputs)}):\n    {returned}").body[0]
    if not isinstance(header, ast.FunctionDef):
        raise TypeError("a def parses to a function")
    header.body[0:0] = piece.body
    helper, call = _called_as(header, inputs, how)
    at = next(i for i, s in enumerate(tree.body) if s is function)
    tree.body[at:at] = helper
    text = f"({', '.join(outputs)},) = {call}" if outputs else call
    piece.body = ast.parse(text).body
    return True


def _called_as(helper: ast.FunctionDef, inputs: list[str], how: Variation) -> tuple[list[ast.stmt], str]:
    """The definition and the text of its call."""
    plain = f"{helper.name}({', '.join(inputs)})"
    if how is Variation.PARTIAL and inputs:
        return [helper], f"functools.partial({helper.name}, {inputs[0]})({', '.join(inputs[1:])})"
    if how is Variation.LAMBDA:
        return [helper], f"(lambda *given: {helper.name}(*given))({', '.join(inputs)})"
    if how is Variation.CLASS:
        method = copy.deepcopy(helper)
        method.name = "__call__"
        method.args.args.insert(0, ast.arg("self"))
        kind = ast.parse(f"class {helper.name.title().replace('_', '')}:\n    pass").body[0]
        if not isinstance(kind, ast.ClassDef):
            raise TypeError("a class parses to a class")
        kind.body = [method]
        return [kind], f"{kind.name}()({', '.join(inputs)})"
    return [helper], plain


def _movable(body: Sequence[ast.stmt]) -> bool:
    jumps = (ast.Return, ast.Yield, ast.Nonlocal, ast.Global)
    inside = [n for s in body for n in ast.walk(s)]
    loops = [n for n in inside if isinstance(n, ast.For | ast.While)]
    covered = {id(n) for loop in loops for n in ast.walk(loop)}
    nested = {id(n) for s in inside if isinstance(s, Function) for n in ast.walk(s)}
    return not any(
        (isinstance(n, jumps) and id(n) not in nested)
        or (isinstance(n, ast.Continue | ast.Break) and id(n) not in covered)
        for n in inside
    )


def _targets(statement: ast.stmt) -> set[str]:
    """Names that a statement certainly binds."""
    if isinstance(statement, ast.Assign | ast.AugAssign | ast.AnnAssign):
        return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if isinstance(statement, ast.With):
        return {name for inner in statement.body for name in _targets(inner)}
    return set()


class _Reads(ast.NodeVisitor):
    """Names that a block reads before it binds them, in the order of evaluation."""

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.read: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.bound.add(node.id)
        elif node.id not in self.bound:
            self.read.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        for part in (node.value, *node.targets):
            self.visit(part)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.bound:
            self.read.add(node.target.id)
        self.visit(node.value)
        self.visit(node.target)

    def visit_For(self, node: ast.For) -> None:
        for part in (node.iter, node.target, *node.body, *node.orelse):
            self.visit(part)

    def _inner(self, node: ast.AST, own: set[str]) -> None:
        inside = _Reads()
        inside.bound = self.bound | own
        inside.generic_visit(node)
        self.read |= inside.read - own

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.bound.add(node.name)
        self._inner(node, stored([node]))

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._inner(node, stored([node.args]))

    def visit_ListComp(self, node: ast.AST) -> None:
        self._inner(node, stored(n.target for n in ast.walk(node) if isinstance(n, ast.comprehension)))

    visit_SetComp = visit_ListComp  # noqa: N815 - ast's own spelling
    visit_DictComp = visit_ListComp  # noqa: N815
    visit_GeneratorExp = visit_ListComp  # noqa: N815


def _reads(body: Sequence[ast.stmt]) -> set[str]:
    visitor = _Reads()
    for statement in body:
        visitor.visit(statement)
    return visitor.read


def reorder(pieces: Sequence[Piece]) -> bool:
    """Swap neighbours that do not touch each other; whether there were any."""
    swapped = False
    for piece in pieces:
        for body in [
            piece.body,
            *(n.body for s in piece.body for n in ast.walk(s) if isinstance(n, ast.For | ast.With)),
        ]:
            i = 0
            while i + 1 < len(body):
                if _independent(body[i], body[i + 1]):
                    body[i], body[i + 1] = body[i + 1], body[i]
                    swapped = True
                    i += 1
                i += 1
    return swapped


def _independent(a: ast.stmt, b: ast.stmt) -> bool:
    if not (isinstance(a, ast.Assign) and isinstance(b, ast.Assign)):
        return False
    if not all(isinstance(s.targets[0], ast.Name) for s in (a, b)):
        return False
    if any(called(n) not in _PURE for s in (a, b) for n in ast.walk(s) if isinstance(n, ast.Call)):
        return False
    writes_a, writes_b = stored([a]), stored([b])
    return not (writes_a & (writes_b | loaded([b])) or writes_b & loaded([a]))


def rename(functions: Sequence[Function], rng: random.Random) -> None:
    """Give the locals of these functions names that say nothing.

    Parameters keep theirs: callers may pass them by keyword. So do names of nested scopes' own and of f-strings' hosts;
    a name is renamed in the whole function or not at all.
    """
    for function in functions:
        parameters = {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
        kept = parameters | BUILTINS
        for node in ast.walk(function):
            if isinstance(node, ast.Global | ast.Nonlocal):
                kept |= set(node.names)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                kept |= stored([node])
            elif isinstance(node, ast.ClassDef) or (isinstance(node, Function) and node is not function):
                kept.add(node.name)
        names = sorted(
            {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
        )
        taken = loaded([function]) | stored([function])
        fresh: dict[str, str] = {}
        for name in names:
            if name in kept:
                continue
            while (new := f"{rng.choice(_WORDS)}{rng.randrange(1000)}") in taken:
                pass
            taken.add(new)
            fresh[name] = new
        renamer = Fill({}, fresh)
        function.body = [renamer.visit(statement) for statement in function.body]
