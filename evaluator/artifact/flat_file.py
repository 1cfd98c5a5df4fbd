"""F12: JSON and raw tensors one after the other, without a zip or a pickle.

Format (#569, #738, #1110), compressed by zstd or zlib: u32 length and JSON of ``m`` as in
:mod:`evaluator.artifact.entries`; then until the end per tensor u16 length and name, u8 element type (0 int8, 1
float16, 2 float32, 3 bfloat16), u8 number of axes, u32 sizes, the data. All numbers little-endian.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from typing import Any, Final

import numpy as np

from evaluator.artifact.container import Contents
from evaluator.artifact.cursor import Cursor
from evaluator.artifact.limits import DecodeLimits
from evaluator.artifact.numerics import Array, widen_bfloat16
from evaluator.refusal import Refused

CONTAINER: Final = "flat"
DIMENSIONS: Final = 8
_BFLOAT16: Final = 3
_DTYPES: Final = (np.dtype("i1"), np.dtype("<f2"), np.dtype("<f4"), np.dtype("<u2"))


def looks_like(data: bytes) -> bool:
    """Whether ``data`` starts as such a file does: a length that fits, then a JSON object."""
    return data[4:5] == b"{" and 2 <= int.from_bytes(data[:4], "little") <= len(data) - 4


def read(data: bytes, limits: DecodeLimits) -> Contents:
    """Open a flat file: the object is ``{"w": tensors, "m": meta}``.

    Raises:
        Refused: ``bad-header``, ``truncated``, ``bad-name``, ``duplicate-key``, ``unsupported-dtype``,
            ``storage-range``, ``too-many-tensors`` or ``tensors-too-large``.
    """
    cursor = Cursor(data, "the flat file")
    try:
        schemes = json.loads(cursor.take(cursor.unsigned(4)))
    except (ValueError, RecursionError) as error:
        raise Refused("bad-header", f"the flat file's header is not JSON: {type(error).__name__}") from None
    tensors: dict[str, Array] = {}
    elements = 0
    while cursor.rest:
        name, kind, axes = cursor.text(2), cursor.unsigned(1), cursor.unsigned(1)
        if name in tensors:
            raise Refused("duplicate-key", f"the flat file names {name!r} twice")
        if kind >= len(_DTYPES):
            raise Refused("unsupported-dtype", f"tensor {name!r} has element type {kind}")
        if axes > DIMENSIONS:
            raise Refused("storage-range", f"tensor {name!r} has {axes} axes")
        shape = tuple(cursor.unsigned(4) for _ in range(axes))
        elements += prod(shape)
        if len(tensors) >= limits.tensors:
            raise Refused("too-many-tensors", f"the artifact holds more than {limits.tensors:,} tensors")
        if 4 * elements > limits.tensor_bytes:
            raise Refused("tensors-too-large", f"the tensors exceed {limits.tensor_bytes:,} bytes as float32")
        values: Array = np.frombuffer(cursor.take(prod(shape) * _DTYPES[kind].itemsize), _DTYPES[kind]).reshape(shape)
        tensors[name] = widen_bfloat16(values) if kind == _BFLOAT16 else values
    return Contents(CONTAINER, {"w": tensors, "m": schemes})


def write(stored: Mapping[str, Array], schemes: Mapping[str, Any]) -> bytes:
    """A flat file of ``{w, m}``, tensors sorted by name.

    Raises:
        ValueError: an array's dtype has no number in the format.
    """
    header = json.dumps(dict(schemes)).encode()
    parts = [struct.pack("<I", len(header)), header]
    for name, values in sorted(stored.items()):
        kind = _DTYPES[:_BFLOAT16].index(values.dtype.newbyteorder("<"))
        shape = struct.pack(f"<BB{values.ndim}I", kind, values.ndim, *values.shape)
        parts += [struct.pack("<H", len(name.encode())), name.encode(), shape, values.tobytes()]
    return b"".join(parts)
