"""When two submissions hold the same program: digests of their code without what does not run."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from auditor.submission import Source, Submission, UnparsableSourceError

_C_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Likeness:
    """Digests under which submissions are the same.

    Attributes:
        code: of the syntax of every script and the text of every kernel: comments, layout and docstrings aside. Empty
            when there is no code.
        shape: of the same with every name replaced by the order in which it first occurs.
        launch: of the documented switches. The same code under other switches may deserve another verdict.
    """

    code: str
    shape: str
    launch: str


def likeness(submission: Submission) -> Likeness:
    """The digests of one submission."""
    switches = {name: setting.value for name, setting in submission.launch.environment.items()}
    launch = _digest([json.dumps(switches, sort_keys=True)])
    if not submission.sources:
        return Likeness("", "", launch)
    kernels = [" ".join(_C_COMMENT.sub(" ", kernel.text).split()) for kernel in submission.kernels]
    scripts = sorted(_digest(_tokens(source, None)) for source in submission.sources.values())
    shapes = sorted(_digest(_tokens(source, {})) for source in submission.sources.values())
    return Likeness(_digest([*scripts, *sorted(kernels)]), _digest([*shapes, *sorted(kernels)]), launch)


def _tokens(source: Source, names: dict[str, int] | None) -> Iterator[str]:
    """The syntax tree in order; names as they are, or numbered as they occur."""
    try:
        tree = source.syntax if source.problem is None else None
    except UnparsableSourceError:
        tree = None
    if tree is None:
        yield source.text
        return
    waiting: list[object] = [tree]
    while waiting:
        item = waiting.pop()
        if isinstance(item, ast.AST):
            yield type(item).__name__
            fields = [_without_docstring(item) if name == "body" else value for name, value in ast.iter_fields(item)]
            waiting.extend(reversed(fields))
        elif isinstance(item, list):
            yield f"[{len(item)}"
            waiting.extend(reversed(item))
        elif isinstance(item, str) and names is not None:
            yield str(names.setdefault(item, len(names)))
        else:
            yield repr(item)


def _without_docstring(node: ast.AST) -> object:
    body = getattr(node, "body", None)
    if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and isinstance(body, list):
        first = body[0] if body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            return body[1:]
    return body


def _digest(parts: Iterator[str] | list[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:32]
