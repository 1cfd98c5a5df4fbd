"""What an evaluated script is made of: the names in scope, functions, classes and their instances."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


class HaltError(Exception):
    """The interpretation cannot go on: a branch on something unknown, or a limit."""


@dataclass(slots=True)
class Environment:
    """Names of a function call; ``outer`` is where it was defined, ``function`` the node that it belongs to."""

    names: dict[str, Any] = field(default_factory=dict)
    outer: Environment | None = None
    function: ast.AST | None = None


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the script."""

    node: ast.FunctionDef | ast.Lambda
    outer: Environment


@dataclass(frozen=True, slots=True)
class Class:
    """A class of the script."""

    node: ast.ClassDef
    methods: Mapping[str, Function]


@dataclass(slots=True)
class Object:
    """An instance of one."""

    cls: Class
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Partial:
    """A callable with leading arguments."""

    callee: Any
    args: tuple[Any, ...]
    keywords: Mapping[str, Any]
