"""What the interpreter may compute: an allow-list over numbers, texts and small arrays.

Arrays of numpy and torch are numpy arrays here, of float64 or bool: no table of byte counts depends on its width.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NUMBER = 1 << 62
TEXT = 4_096
"""Largest number and longest text or list; what is larger is unknown."""

Floats = npt.NDArray[Any]


class Unknown:
    """A value that is not known."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


@dataclass(frozen=True, slots=True)
class Dotted:
    """A member of a library, known by name only."""

    name: str

    @property
    def last(self) -> str:
        """Its last component."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Native:
    """An object of ours that the script sees: methods by name."""

    members: Mapping[str, Callable[..., Any]]


def small(value: Any) -> Any:
    """The value, or UNKNOWN where it is too large to go on with."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < NUMBER else UNKNOWN
    if isinstance(value, str | bytes | list | tuple | dict | set | range):
        return value if len(value) <= TEXT else UNKNOWN
    if isinstance(value, np.ndarray):
        return value if value.size <= TEXT else UNKNOWN
    return value


def _is_bool(dtype: Any) -> bool:
    return dtype is bool or (isinstance(dtype, Dotted) and "bool" in dtype.last)


def _cast(array: Any, dtype: Any = None, *_: Any, **keywords: Any) -> Any:
    dtype = keywords.get("dtype", dtype)
    array = np.asarray(array)
    if isinstance(dtype, Dotted | type):
        return array.astype(bool if _is_bool(dtype) else np.float64)
    return array.copy()


def _shape(arguments: tuple[Any, ...]) -> tuple[int, ...]:
    first = arguments[0] if len(arguments) == 1 else arguments
    shape = tuple(first) if isinstance(first, tuple | list) else (first,)
    if not all(isinstance(n, int) and 0 <= n <= TEXT for n in shape) or np.prod(shape) > TEXT:
        raise ValueError("no such shape")
    return shape


def _filled(value: float) -> Callable[..., Floats]:
    def make(*shape: Any, **keywords: Any) -> Floats:
        sizes = _shape((keywords["size"],) if "size" in keywords else shape[:1])
        dtype = keywords.get("dtype", shape[1] if len(shape) > 1 else None)
        return np.full(sizes, value, bool if _is_bool(dtype) else np.float64)

    return make


def _full(shape: Any, value: float, **keywords: Any) -> Floats:
    return np.full(_shape((shape,)), value, bool if _is_bool(keywords.get("dtype")) else np.float64)


def _like(value: float) -> Callable[..., Floats]:
    def make(array: Floats, **keywords: Any) -> Floats:
        made = np.full(array.shape, value)
        return made.astype(bool) if _is_bool(keywords.get("dtype")) or array.dtype == bool else made

    return make


def _array(data: Any, dtype: Any = None, **_: Any) -> Any:
    array = np.asarray(data)
    if array.dtype.kind not in "biuf" or array.size > TEXT:
        raise ValueError("no array of numbers")
    return array.astype(bool) if _is_bool(dtype) or array.dtype == bool else array.astype(np.float64)


def _clip(array: Any, low: Any = None, high: Any = None, **keywords: Any) -> Any:
    return np.clip(array, keywords.get("min", low), keywords.get("max", high))


def _where(condition: Any, a: Any, b: Any) -> Any:
    return np.where(condition, a, b)


def _put(array: Floats, value: Any) -> Floats:
    array[...] = value
    return array


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "zeros": _filled(0.0), "ones": _filled(1.0), "empty": _filled(0.0), "full": _full, "zeros_like": _like(0.0),
    "ones_like": _like(1.0), "tensor": _array, "array": _array, "asarray": _array, "as_tensor": _array,
    "from_numpy": _array, "arange": lambda *n, **_: _array(list(range(*n)[:TEXT])), "where": _where,
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_not": np.logical_not,
    "bitwise_and": np.logical_and, "maximum": np.maximum, "minimum": np.minimum, "sum": np.sum, "clip": _clip,
    "clamp": _clip, "int16": float, "int32": float, "int64": float, "float32": float, "float64": float,
}  # fmt: skip
"""Functions of numpy and torch, by their last name."""

BUILTINS: dict[str, Any] = {
    "len": len, "int": int, "float": float, "str": str, "bool": bool, "max": max, "min": min, "sum": sum, "abs": abs,
    "any": any, "all": all, "list": list, "tuple": tuple, "set": set, "dict": dict, "sorted": sorted, "round": round,
    "ord": ord, "chr": chr, "enumerate": lambda *a: list(enumerate(*a)), "zip": lambda *a: list(zip(*a, strict=False)),
    "range": range, "print": lambda *_, **__: None, "reversed": lambda v: list(reversed(v)),
}  # fmt: skip

_TEXT_METHODS = {
    "startswith", "endswith", "replace", "strip", "lstrip", "rstrip", "lower", "upper", "removeprefix", "removesuffix",
    "split", "count", "find", "isdigit", "isspace", "isalpha", "decode", "encode", "hex", "join", "partition",
    "rpartition", "isalnum", "index",
}  # fmt: skip
_CONTAINER_METHODS = {"append", "get", "items", "keys", "values", "add", "index", "count"}
_CODECS = {
    "utf-8",
    "utf8",
    "utf_8",
    "utf-16",
    "utf16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
    "ascii",
    "latin-1",
    "latin1",
}
_ARRAY_METHODS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("to", "astype", "type", "view_as"), _cast),
    **dict.fromkeys(("float", "double", "long", "int", "half", "short"), lambda a: a.astype(np.float64)),
    **dict.fromkeys(("cpu", "cuda", "numpy", "detach", "contiguous", "copy", "clone"), lambda a, *_, **__: a.copy()),
    **dict.fromkeys(("view", "reshape"), lambda a, *s: a.reshape(_shape(s))),
    **dict.fromkeys(("flatten", "ravel"), lambda a: a.reshape(-1)),
    "bool": lambda a: a.astype(bool), "item": lambda a: a.item(), "tolist": lambda a: a.tolist(),
    "sum": lambda a, *_, **__: a.sum(), "numel": lambda a: a.size,
    "size": lambda a, *n: a.shape[n[0]] if n else a.shape,
    "clamp": _clip, "clip": _clip, "clamp_min": np.maximum, "logical_not": np.logical_not,
    "mul": np.multiply, "add": np.add, "sub": np.subtract, "bitwise_not": np.logical_not,
    "logical_and": np.logical_and, "fill_": _put, "mul_": lambda a, v: _put(a, a * v),
    "add_": lambda a, v: _put(a, a + v), "zero_": lambda a: _put(a, 0),
}  # fmt: skip


def method(owner: Any, name: str) -> Callable[..., Any] | None:
    """A method of a value, None where the list does not allow it."""
    if isinstance(owner, Native):
        return owner.members.get(name)
    if isinstance(owner, np.ndarray | np.generic):
        function = _ARRAY_METHODS.get(name)
        return None if function is None else functools.partial(function, np.asarray(owner))
    if isinstance(owner, str | bytes) and name in _TEXT_METHODS:
        if name in {"encode", "decode"}:
            return lambda codec="utf-8", errors="strict": _coded(owner, name, codec, errors)
        return getattr(owner, name)  # type: ignore[no-any-return]  # a text's own method
    if isinstance(owner, list | dict | set | tuple) and name in _CONTAINER_METHODS:
        return getattr(owner, name, None)
    return None


def _coded(owner: Any, name: str, codec: Any, errors: Any) -> Any:
    if codec not in _CODECS or errors not in {"strict", "ignore", "replace"}:
        raise ValueError("no such codec")
    return getattr(owner, name)(codec, errors)


def attribute(owner: Any, name: str) -> Any:
    """An attribute that is no method."""
    if isinstance(owner, Dotted):
        return Dotted(f"{owner.name}.{name}")
    if isinstance(owner, np.ndarray):
        found: dict[str, Any] = {"shape": owner.shape, "ndim": owner.ndim, "size": owner.size, "T": owner.T}
        found["dtype"] = Dotted("bool" if owner.dtype == bool else "float64")
        found["data"] = owner
        return found.get(name, UNKNOWN)
    return UNKNOWN
