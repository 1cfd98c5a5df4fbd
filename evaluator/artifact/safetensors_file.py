"""The safetensors container, read strictly and written reproducibly.

Format: u64 little-endian header size, a JSON header ``{NAME: {dtype, shape, data_offsets: [start, stop]}, ...}`` with
string metadata under ``__metadata__``, then the data. The library reads it too, but keeps the last of two equal keys
and writes metadata in random order; here duplicates are refused and the bytes are a function of the content.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from typing import Any, Final

import numpy as np

from evaluator.artifact.container import Contents
from evaluator.artifact.limits import DecodeLimits
from evaluator.artifact.numerics import Array, widen_bfloat16
from evaluator.refusal import Refused

DIMENSIONS: Final = 8
HEADER_BYTES: Final = 16 << 20
METADATA: Final = "__metadata__"
_BFLOAT16: Final = "BF16"
DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    _BFLOAT16: np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
"""Element types that weights may have."""


def looks_like(data: bytes) -> bool:
    """Whether ``data`` starts as a safetensors file does, its header's size left aside."""
    return data[8:9] == b"{"


def is_certain(data: bytes) -> bool:
    """Whether ``data`` starts as a safetensors file with a header of credible size, which 48 bits say.

    A header of 0x0178 bytes starts like zlib (``78 01``), one of 0x0280 like a pickle: ask this before all else.
    """
    return looks_like(data) and data[3:8] == bytes(5)


def read(data: bytes, limits: DecodeLimits) -> Contents:
    """Open a safetensors file.

    Raises:
        Refused: ``truncated``, ``header-too-large``, ``bad-header``, ``duplicate-key``, ``too-many-tensors``,
            ``unsupported-dtype``, ``storage-range``, ``overlapping-storage`` or ``tensors-too-large``.
    """
    header, body = _split(data)
    raw_metadata = header.pop(METADATA, {})
    if not isinstance(raw_metadata, dict) or not all(isinstance(value, str) for value in raw_metadata.values()):
        raise Refused("bad-header", "the safetensors metadata is not a mapping of strings")
    if len(header) > limits.tensors:
        raise Refused("too-many-tensors", f"the artifact holds more than {limits.tensors:,} tensors")
    extents: list[tuple[int, int, str]] = []
    arrays: dict[str, Array] = {}
    elements = 0
    for name, entry in header.items():
        dtype, shape, start, stop = _entry(name, entry)
        count = prod(shape)
        if not 0 <= start <= stop <= len(body):
            raise Refused("storage-range", f"tensor {name!r} lies at bytes {start}..{stop} of {len(body)}")
        if count * DTYPES[dtype].itemsize != stop - start:
            raise Refused("storage-range", f"tensor {name!r} of shape {list(shape)} does not fill its bytes")
        extents.append((start, stop, name))
        elements += count
        array: Array = np.frombuffer(body[start:stop], DTYPES[dtype]).reshape(shape)
        arrays[name] = widen_bfloat16(array) if dtype == _BFLOAT16 else array
    if 4 * elements > limits.tensor_bytes:
        raise Refused("tensors-too-large", f"the tensors exceed {limits.tensor_bytes:,} bytes as float32")
    _check_extents(extents, len(body))
    return Contents("safetensors", arrays, raw_metadata)


def write(arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file, tensors sorted by name; equal content gives equal bytes.

    Raises:
        ValueError: an array's dtype has no safetensors name.
    """
    names = {dtype: name for name, dtype in DTYPES.items() if name != _BFLOAT16}
    header: dict[str, Any] = {METADATA: dict(sorted(metadata.items()))} if metadata else {}
    parts = []
    offset = 0
    for name, array in sorted(arrays.items()):
        little = array.dtype.newbyteorder("<")
        if little not in names:
            raise ValueError(f"tensor {name!r} has dtype {array.dtype}")
        part = np.ascontiguousarray(array, little).tobytes()
        header[name] = {
            "dtype": names[little],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(part)],
        }
        parts.append(part)
        offset += len(part)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # data aligned to 8 bytes, as the library does
    return b"".join((struct.pack("<Q", len(text)), text, *parts))


def _split(data: bytes) -> tuple[dict[str, Any], memoryview]:
    size = int.from_bytes(data[:8], "little")
    if size > HEADER_BYTES:
        raise Refused("header-too-large", f"the safetensors header claims {size:,} bytes, more than {HEADER_BYTES:,}")
    if 8 + size > len(data):
        raise Refused("truncated", f"the safetensors header claims {size:,} bytes, the file has {len(data):,}")
    try:
        header = json.loads(data[8 : 8 + size].decode(), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise Refused("bad-header", f"the safetensors header is not JSON: {type(error).__name__}") from None
    if not isinstance(header, dict):
        raise Refused("bad-header", "the safetensors header is not a mapping")
    return header, memoryview(data)[8 + size :]


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise Refused("duplicate-key", f"the safetensors header names {key!r} twice")
        mapping[key] = value
    return mapping


def _entry(name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(start), int(stop)], **more} if not more:
            if len(shape) <= DIMENSIONS and all(type(size) is int and size >= 0 for size in shape) and _fits(shape):
                if dtype not in DTYPES:
                    raise Refused("unsupported-dtype", f"tensor {name!r} has dtype {dtype!r}")
                return dtype, tuple(shape), start, stop
    raise Refused("bad-header", f"the safetensors header describes tensor {name!r} wrongly")


def _fits(shape: list[int]) -> bool:
    # numpy refuses a shape by its product even where a zero in it leaves no element.
    return prod(size for size in shape if size) < 1 << 40


def _check_extents(extents: list[tuple[int, int, str]], size: int) -> None:
    """The format's own rule: tensors cover the data without a gap and without sharing a byte."""
    end, previous = 0, "the header"
    for start, stop, name in sorted(extents):
        if start < end:
            raise Refused("overlapping-storage", f"tensors {previous!r} and {name!r} share bytes")
        if start > end:
            raise Refused("trailing-data", f"{start - end:,} bytes before tensor {name!r} belong to no tensor")
        end, previous = stop, name
    if end != size:
        raise Refused("trailing-data", f"{size - end:,} bytes after tensor {previous!r} belong to no tensor")
