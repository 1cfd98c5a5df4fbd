"""numpy containers: ``npz`` without pickles."""

from __future__ import annotations

import io
from math import prod
from typing import Final

import numpy as np

from evaluator.artifact.container import Contents
from evaluator.artifact.limits import DecodeLimits
from evaluator.artifact.numerics import Array
from evaluator.artifact.zip_records import read_records
from evaluator.refusal import Refused

MAGIC: Final = b"\x93NUMPY"
SUFFIX: Final = ".npy"


def read(data: bytes, limits: DecodeLimits) -> Contents:
    """Open an ``npz``: the object is a dictionary of arrays.

    Raises:
        Refused: every reason of :func:`read_records`; ``numpy-pickle``, ``bad-npy``, ``too-many-tensors`` or
            ``tensors-too-large``.
    """
    records = read_records(data, deflate=True, allowance=limits.raw_allowance(len(data)))
    if len(records) > limits.tensors:
        raise Refused("too-many-tensors", f"the artifact holds more than {limits.tensors:,} tensors")
    arrays = {name.removesuffix(SUFFIX): _array(name, body) for name, body in records.items()}
    if sum(4 * array.size for array in arrays.values()) > limits.tensor_bytes:
        raise Refused("tensors-too-large", f"the tensors exceed {limits.tensor_bytes:,} bytes as float32")
    return Contents("npz", arrays)


def _array(name: str, body: bytes) -> Array:
    file = io.BytesIO(body)
    try:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(file)
    except (ValueError, OSError, EOFError) as error:
        raise Refused("bad-npy", f"array {name!r} has no readable header: {type(error).__name__}") from None
    if dtype.hasobject:
        raise Refused("numpy-pickle", f"array {name!r} holds Python objects, which only a pickle can carry")
    # Before numpy allocates what the header claims.
    if any(size < 0 for size in shape) or prod(shape) * dtype.itemsize != len(body) - file.tell():
        raise Refused("bad-npy", f"array {name!r} declares shape {list(shape)}, which its bytes do not fill")
    try:
        return np.lib.format.read_array(io.BytesIO(body), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise Refused("bad-npy", f"array {name!r} cannot be read: {error}") from None
