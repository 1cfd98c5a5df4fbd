"""Bare pickles of numpy arrays, as MLX scripts write them (F9): read as a description, nothing else is called.

Few globals are known, under the module paths of numpy 1 and 2: ``_frombuffer`` (protocol 5), ``_reconstruct`` (earlier
protocols), ``scalar``, ``dtype``, and the codec of bytes in protocol 2; each stands for a few lines here and none for
the code of that name.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from math import prod
from typing import Any, Final

import numpy as np

from evaluator.artifact.container import Contents, plain
from evaluator.artifact.limits import DecodeLimits
from evaluator.artifact.numerics import Array
from evaluator.artifact.torch_pickle import latin1_bytes, refusing_pickle
from evaluator.refusal import Refused

CONTAINER: Final = "numpy-pickle"
_DTYPES: Final = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


def looks_like(data: bytes) -> bool:
    """Whether ``data`` starts as a pickle of protocol 2 to 5."""
    return len(data) >= 2 and data[0] == 0x80 and 2 <= data[1] <= 5


def read(data: bytes, limits: DecodeLimits) -> Contents:
    """Open a pickle that holds dictionaries, lists, plain values and numpy arrays.

    Raises:
        Refused: ``bare-pickle`` for any other content; ``bad-pickle``, ``too-many-tensors``, ``tensors-too-large``
            and what :func:`evaluator.artifact.container.plain` refuses.
    """
    reader = _Reader(data, limits)
    with refusing_pickle():
        tree = reader.load()
    if not isinstance(tree, dict) or reader.left():
        raise Refused("bare-pickle", "the artifact is a bare pickle of something other than one dictionary of arrays")
    return Contents(CONTAINER, plain(tree, _to_array))


class _Dtype:
    """What ``numpy.dtype(name, align, copy)`` and its state stand for."""

    def __init__(self, name: Any = None, *_: Any) -> None:
        if not isinstance(name, str) or name not in _DTYPES:
            raise Refused("bare-pickle", f"the pickle holds an array of type {name!r}")
        self.value = np.dtype(f"<{name}")

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", "|"):
            raise Refused("bare-pickle", "the pickle holds an array that is not little-endian")


class _Array:
    """An array whose parts come in a state, as before protocol 5."""

    def __init__(self, make: Callable[..., Array]) -> None:
        self._make = make
        self.values: Array | None = None

    def __setstate__(self, state: Any) -> None:
        match state:
            case (int(), tuple(shape), _Dtype() as dtype, bool(fortran), bytes(data)):
                self.values = self._make(data, dtype, shape, "F" if fortran else "C")
            case _:
                raise Refused("bad-pickle", "the state of a numpy array is not one")


class _ArrayType:
    """What ``numpy.ndarray`` stands for: an argument of ``_reconstruct``."""


class _Reader(pickle.Unpickler):
    def __init__(self, data: bytes, limits: DecodeLimits) -> None:
        self._stream = io.BytesIO(data)
        super().__init__(self._stream)
        self._limits = limits
        self._count = self._bytes = 0

    def left(self) -> bytes:
        """What follows the pickle."""
        return self._stream.read(1)

    def find_class(self, module: str, name: str) -> Any:
        """Resolve one of the few globals of numpy arrays; refuse all others."""
        known: dict[tuple[str, str], Any] = {
            ("numpy", "dtype"): _Dtype,
            ("numpy", "ndarray"): _ArrayType,
            ("_codecs", "encode"): latin1_bytes,
        }
        for core in ("numpy._core", "numpy.core"):
            known[f"{core}.numeric", "_frombuffer"] = self._array
            known[f"{core}.multiarray", "_reconstruct"] = lambda *_: _Array(self._array)
            known[f"{core}.multiarray", "scalar"] = self._scalar
        if (module, name) not in known:
            raise Refused(
                "bare-pickle",
                f"a bare pickle can run code when it is read, and this one refers to {module}.{name}; "
                "save with torch.save (zip) or safetensors",
            )
        return known[module, name]

    def _array(self, data: Any, dtype: Any, shape: Any, order: Any) -> Array:
        sizes = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
        if not sizes or len(shape) > 8 or not isinstance(dtype, _Dtype) or order not in ("C", "F"):
            raise Refused("bad-pickle", "a numpy array is declared with something other than bytes and sizes")
        if not isinstance(data, bytes | bytearray) or len(data) != prod(shape) * dtype.value.itemsize:
            raise Refused("storage-range", f"an array of shape {list(shape)} does not fill its bytes")
        self._count += 1
        self._bytes += 4 * prod(shape)
        if self._count > self._limits.tensors:
            raise Refused("too-many-tensors", f"the artifact holds more than {self._limits.tensors:,} tensors")
        if self._bytes > self._limits.tensor_bytes:
            raise Refused("tensors-too-large", f"the tensors exceed {self._limits.tensor_bytes:,} bytes as float32")
        return np.frombuffer(data, dtype.value).reshape(shape, order=order)

    def _scalar(self, dtype: Any, data: Any) -> Array:
        return self._array(data, dtype, (), "C")


def _to_array(value: Any) -> Array:
    values = value.values if isinstance(value, _Array) else value
    if not isinstance(values, np.ndarray):
        raise Refused("bare-pickle", f"the pickle holds a {type(value).__name__.lstrip('_')}")
    return values


def write(tree: Any) -> bytes:
    """The pickle that an MLX script makes of ``tree``: numpy arrays in dictionaries, the highest protocol."""
    return pickle.dumps(tree, protocol=pickle.HIGHEST_PROTOCOL)
