"""Find the arrays that hold a stream among values, and put another stream there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

_DEEPEST = 4
_WIDEST = 64
_LEAST_SHARE = 0.7
"""Loaders cut the stream down to whole sequences."""

Holder = torch.Tensor | npt.NDArray[Any]


def holders(values: Any, stream: npt.NDArray[np.integer]) -> list[Holder]:
    """Integer vectors within ``values`` that are ``stream``, or most of its beginning."""
    return list(_search(values, stream.astype(np.int64), 0, set()))


def overwrite(found: list[Holder], stream: npt.NDArray[np.integer]) -> None:
    """Put ``stream`` into each vector, in place; views and the submission's own references see it."""
    for holder in found:
        tokens = stream[: len(holder)].astype(np.int64)
        if isinstance(holder, torch.Tensor):
            with torch.no_grad():
                holder.copy_(torch.from_numpy(tokens))
        elif not isinstance(holder, np.memmap):  # a map shows what its file holds
            if not holder.flags.writeable:
                holder.flags.writeable = True
            holder[...] = tokens


def _search(value: Any, stream: npt.NDArray[np.int64], depth: int, seen: set[int]) -> Iterator[Holder]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, (torch.Tensor, np.ndarray)):
        if _holds(value, stream):
            yield value
    elif depth < _DEEPEST:
        for each in _contents(value):
            yield from _search(each, stream, depth + 1, seen)


def _contents(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value) if len(value) < _WIDEST else []
    if isinstance(value, Mapping):
        return list(value.values()) if len(value) < _WIDEST else []
    if isinstance(value, (type, ModuleType, FunctionType, torch.nn.Module)) or not hasattr(value, "__dict__"):
        return []
    return list(vars(value).values())


def _holds(value: Holder, stream: npt.NDArray[np.int64]) -> bool:
    if value.ndim != 1 or not _LEAST_SHARE * len(stream) <= len(value) <= len(stream):
        return False
    if isinstance(value, torch.Tensor):
        if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
            return False
        array = value.detach().to(torch.int64).numpy()
    elif value.dtype.kind in "iu":
        array = value.astype(np.int64)
    else:
        return False
    return bool(np.array_equal(array, stream[: len(array)]))
