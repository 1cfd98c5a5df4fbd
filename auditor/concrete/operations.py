"""Operators and indexing on concrete values; what is unknown, or the script's own error, gives UNKNOWN."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from auditor.concrete.library import UNKNOWN, small

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.BitAnd: operator.and_, ast.BitOr: operator.or_,
    ast.BitXor: operator.xor, ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Is: operator.is_, ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b, ast.NotIn: lambda a, b: a not in b,
}  # fmt: skip


def item_of(owner: Any, index: Any) -> Any:
    """``owner[index]``."""
    if owner is UNKNOWN or index is UNKNOWN or not isinstance(owner, np.ndarray | list | tuple | dict | str | bytes):
        return UNKNOWN
    try:
        item = owner[index_of(index)]
    except Exception:  # noqa: BLE001 - the script's own error
        return UNKNOWN
    return item.copy() if isinstance(item, np.ndarray) and isinstance(index, np.ndarray) else item


def operate(op: ast.AST, left: Any, right: Any) -> Any:
    """``left op right``, where the result cannot become large."""
    function = _OPERATORS.get(type(op))
    if left is UNKNOWN or right is UNKNOWN or function is None:
        return UNKNOWN
    if isinstance(op, ast.Mult) and any(isinstance(v, str | bytes | list | tuple) for v in (left, right)):
        sizes = [v if isinstance(v, int) else len(v) for v in (left, right) if not isinstance(v, float)]
        if len(sizes) != 2 or sizes[0] * sizes[1] > 1_000:
            return UNKNOWN
    if isinstance(op, ast.Mod) and isinstance(left, str | bytes):
        return UNKNOWN
    if isinstance(op, ast.Add) and all(isinstance(v, np.ndarray) and v.dtype == bool for v in (left, right)):
        return UNKNOWN
    try:
        return small(function(left, right))
    except Exception:  # noqa: BLE001 - the script's own error
        return UNKNOWN


def index_of(index: Any) -> Any:
    """An index as numpy and lists take it: positions are whole numbers."""
    if isinstance(index, np.ndarray):
        return index if index.dtype == bool else index.astype(np.int64)
    return int(index) if isinstance(index, float) and index.is_integer() else index
