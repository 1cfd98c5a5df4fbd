"""The wire format of results: one safetensors blob, and a reader that believes nothing it says.

Layout (the safetensors format): 8 bytes little-endian header length, a JSON header that maps each name to ``dtype``,
``shape`` and ``data_offsets``, then the data. ``__metadata__.json`` carries the program's JSON value as a string. We
check the header ourselves because the writer is hostile: sizes are compared with what arrived before anything is
allocated, and every byte of data belongs to exactly one tensor.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

HEADER_BYTES = 4 << 20
"""Largest header we parse. Parsed JSON can take some 30 times its text, so this also bounds the parent's memory."""

_DIMENSIONS, _ELEMENTS = 16, 1 << 40
# numpy multiplies dimensions without looking for zeros; past 2**63 bytes it raises.

DTYPES: Mapping[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype("?"),
    "U8": np.dtype("u1"),
    "I8": np.dtype("i1"),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F16": np.dtype("<f2"),
    "F32": np.dtype("<f4"),
    "F64": np.dtype("<f8"),
}
"""safetensors names of the dtypes that numpy has; others (BF16, F8) are refused: send their bits as integers."""

_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class BlobError(ValueError):
    """The bytes are not a valid result; the message says what is wrong with them."""


def encode_header(layout: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]], value: str) -> bytes:
    """Length prefix and header for arrays that follow in ``layout``'s order; ``value`` is JSON text.

    Raises:
        ValueError: a dtype that safetensors or numpy cannot name, or a header over ``HEADER_BYTES``.
    """
    header: dict[str, Any] = {"__metadata__": {"json": value}}
    end = 0
    for name, (dtype, shape) in layout.items():
        if dtype not in _NAMES:
            raise ValueError(f"array {name!r} has dtype {dtype}, which safetensors cannot carry from numpy")
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": _NAMES[dtype], "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # aligned data lets the parent map arrays in place
    if len(text) > HEADER_BYTES:
        raise ValueError(f"header of {len(text)} bytes is over the {HEADER_BYTES} that the harness reads")
    return len(text).to_bytes(8, "little") + text


def read_blob(path: Path) -> tuple[Any, dict[str, npt.NDArray[np.generic]]]:
    """JSON value and arrays of the blob in ``path``; arrays are read-only views of a memory map.

    The map outlives the file's name, so the caller may unlink it.

    Raises:
        BlobError: anything is wrong with the bytes.
    """
    size = path.stat().st_size
    if size < 8:
        raise BlobError(f"{size} bytes are too few for a length prefix")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, HEADER_BYTES):
            raise BlobError(f"header claims {length} bytes; {size - 8} arrived, {HEADER_BYTES} are allowed")
        header = _parse_json(file.read(length), "header")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    value, layout = _check_header(header, size - 8 - length)
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, (dtype, shape, begin) in layout.items():
        flat = np.frombuffer(mapped, np.uint8, math.prod(shape) * dtype.itemsize, 8 + length + begin)
        if dtype == np.bool_ and flat.size and flat.max() > 1:
            raise BlobError(f"tensor {_show(name)}: a bool that is neither 0 nor 1")
        arrays[name] = flat.view(dtype).reshape(shape)
    return value, arrays


def _check_header(
    header: Any, data_bytes: int
) -> tuple[Any, dict[str, tuple[np.dtype[np.generic], tuple[int, ...], int]]]:
    if not isinstance(header, dict):
        raise BlobError("header is not an object")
    metadata = header.pop("__metadata__", {})
    text = metadata.get("json", "null") if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise BlobError("__metadata__.json is not a string")
    value = _parse_json(text.encode("utf-8", "surrogatepass"), "JSON value")
    layout = {}
    spans = []
    for name, entry in header.items():
        dtype, shape, begin, end = _check_entry(name, entry)
        layout[name] = (dtype, shape, begin)
        spans.append((begin, end))
    reached = 0
    for begin, end in sorted(spans):
        if begin != reached:
            raise BlobError(f"data offsets jump from {reached} to {begin}: a gap or an overlap")
        reached = end
    if reached != data_bytes:
        raise BlobError(f"tensors cover {reached} bytes of {data_bytes} that arrived")
    return value, layout


def _check_entry(name: str, entry: Any) -> tuple[np.dtype[np.generic], tuple[int, ...], int, int]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise BlobError(f"tensor {_show(name)}: not an object of dtype, shape and data_offsets")
    dtype = DTYPES.get(entry["dtype"]) if isinstance(entry["dtype"], str) else None
    if dtype is None:
        raise BlobError(f"tensor {_show(name)}: unknown dtype")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _naturals(shape) or len(shape) > _DIMENSIONS or not _naturals(offsets) or len(offsets) != 2:
        raise BlobError(f"tensor {_show(name)}: shape and data_offsets must be short lists of natural numbers")
    begin, end = offsets
    if math.prod(size or 1 for size in shape) > _ELEMENTS or math.prod(shape) * dtype.itemsize != end - begin:
        raise BlobError(f"tensor {_show(name)}: shape does not fill its data_offsets")
    return dtype, tuple(shape), begin, end


def _naturals(value: Any) -> bool:
    # type() and not isinstance(): True is an int. Bounding each also keeps the products small.
    return isinstance(value, list) and all(type(item) is int and 0 <= item <= _ELEMENTS for item in value)


def _parse_json(text: bytes, what: str) -> Any:
    try:
        return json.loads(text.decode(), object_pairs_hook=_no_duplicates, parse_constant=_no_constants)
    except (ValueError, RecursionError) as error:
        raise BlobError(f"{what} is not strict JSON: {type(error).__name__}") from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key appears twice")
    return result


def _no_constants(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _show(name: str) -> str:
    return ascii(name if len(name) <= 80 else name[:80] + "...")
