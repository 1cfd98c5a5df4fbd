"""Libraries that the submission compiles and calls by ctypes: what each call writes into its arrays is recorded."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from auditor.probe.inside.patching import replace
from auditor.probe.inside.tap import MOST_ELEMENTS, TAP
from auditor.probe.record import KERNEL, Site

_open = ctypes.CDLL.__init__


def _opened(library: Any, name: Any = None, *arguments: Any, **named: Any) -> None:
    _open(library, name, *arguments, **named)
    if name is not None and Path(os.fspath(name)).absolute().is_relative_to(Path.cwd().parent):
        library._FuncPtr = _watched(library._FuncPtr, Path(os.fspath(name)).name)


def _watched(function: Any, library: str) -> type[Any]:
    class Watched(function):  # type: ignore[misc]
        _flags_, _restype_ = function._flags_, function._restype_

        def __call__(self, *arguments: Any) -> Any:
            if not TAP.on:
                return super().__call__(*arguments)
            arrays = _arrays(arguments, sys._getframe(1).f_locals)
            before = {place: array.copy() for place, array in arrays.items()}
            try:
                return super().__call__(*arguments)
            finally:
                name = getattr(self, "__name__", "")
                for place, array in arrays.items():
                    if not np.array_equal(before[place], array, equal_nan=array.dtype.kind == "f"):
                        TAP.output(Site(KERNEL, library, name, place + 1, 0), array)

    return Watched


def _arrays(arguments: tuple[Any, ...], around: dict[str, Any]) -> dict[int, npt.NDArray[Any]]:
    """The numeric arrays behind a call's arguments, by place: pointers say no lengths, the caller's variables do."""
    held = {array.ctypes.data: array for value in around.values() if (array := _array(value)) is not None}
    found = {}
    for place, argument in enumerate(arguments):
        array = _array(getattr(argument, "_arr", argument))
        if array is None:
            array = held.get(_address(argument))
        if array is not None and 0 < array.size <= MOST_ELEMENTS and array.dtype.kind in "biuf":
            found[place] = array
    return found


def _array(value: Any) -> npt.NDArray[Any] | None:
    if isinstance(value, torch.Tensor) and value.device.type == "cpu" and not value.requires_grad:
        return value.numpy()
    return value if isinstance(value, np.ndarray) else None


def _address(argument: Any) -> int:
    if isinstance(argument, ctypes.c_void_p):
        return argument.value or 0
    return argument if isinstance(argument, int) else 0


def install() -> None:
    """Patch ``ctypes.CDLL``."""
    replace(ctypes.CDLL, __init__=_opened)
