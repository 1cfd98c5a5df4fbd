"""Hostile safetensors and numpy files."""

from __future__ import annotations

import io
import json
import struct
import zlib
from typing import Any

import numpy as np
from artifact_controls import CONTROLS, npz
from hostile import Group
from pickle_assembler import zip_of


def _file(header: Any, body: bytes = bytes(64)) -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + body


def _entry(start: int = 0, stop: int = 64, shape: Any = (16,), dtype: Any = "F32", **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop], **more}


safetensors = Group("safetensors")
safetensors.add("header-too-large", "header that claims 100 MB", struct.pack("<Q", 100 << 20) + b"{" + bytes(99))
safetensors.add("header-too-large", "header that claims 2**63 bytes", struct.pack("<Q", 1 << 63) + b"{" + bytes(99))
safetensors.add("truncated", "header longer than the file", lambda: CONTROLS["safetensors"]()[:60])
safetensors.add("storage-range", "data cut off", lambda: CONTROLS["safetensors"]()[:-9])
safetensors.add("bad-header", "header that is no JSON", _file(b"{]"))
safetensors.add("bad-header", "header that is no UTF-8", _file(b'{"\xff": 1}'))
safetensors.add("bad-header", "header nested 5,000 deep", _file(b'{"a":' * 5000 + b"1" + b"}" * 5000))
safetensors.add("bad-header", "entry that is a number", _file({"a": 1}))
safetensors.add("bad-header", "entry without a shape", _file({"a": {"dtype": "F32", "data_offsets": [0, 64]}}))
safetensors.add("bad-header", "entry with more than it needs", _file({"a": _entry(extra=1)}))
safetensors.add("bad-header", "negative size", _file({"a": _entry(shape=(-16,))}))
safetensors.add("bad-header", "two negative sizes", _file({"a": _entry(shape=(-4, -4))}))
safetensors.add("bad-header", "true as a size", _file({"a": _entry(0, 4, shape=(True,))}, bytes(4)))
safetensors.add("bad-header", "fraction as an offset", _file({"a": _entry(0.5, 64)}))  # type: ignore[arg-type]
safetensors.add("bad-header", "nine dimensions", _file({"a": _entry(0, 4, shape=(1,) * 9)}, bytes(4)))
safetensors.add("bad-header", "metadata with a number", _file({"__metadata__": {"a": 1}, "a": _entry()}))
safetensors.add("duplicate-key", "one name twice", _file(b'{"a":%s,"a":%s}' % ((json.dumps(_entry()).encode(),) * 2)))
safetensors.add("overlapping-storage", "two tensors, one range", _file({"a": _entry(), "b": _entry()}))
safetensors.add(
    "overlapping-storage", "two tensors that share half", _file({"a": _entry(0, 40, (10,)), "b": _entry(24, 64, (10,))})
)
safetensors.add("trailing-data", "gap between tensors", _file({"a": _entry(0, 4, (1,)), "b": _entry(8, 64, (14,))}))
safetensors.add("trailing-data", "bytes after the last tensor", _file({"a": _entry()}, bytes(80)))
safetensors.add("storage-range", "tensor past the end", _file({"a": _entry(0, 128, (32,))}))
safetensors.add("storage-range", "negative offset", _file({"a": _entry(-64, 0)}))
safetensors.add("storage-range", "offsets in reverse", _file({"a": _entry(64, 0)}))
safetensors.add("storage-range", "shape larger than its bytes", _file({"a": _entry(shape=(1 << 30,))}))
safetensors.add("bad-header", "shape whose product overflows", _file({"a": _entry(shape=(1 << 32, 1 << 32, 1))}))
safetensors.add(
    "bad-header", "no elements in 2**117 rows", _file({"a": _entry(0, 0, (0, 1 << 39, 1 << 39, 1 << 39))}, b"")
)
safetensors.add("unsupported-dtype", "dtype that does not exist", _file({"a": _entry(dtype="X7")}))
safetensors.add("unsupported-dtype", "complex dtype", _file({"a": _entry(dtype="C64", shape=(8,))}))
safetensors.add(
    "too-many-tensors", "100,000 entries", lambda: _file({str(i): _entry(0, 0, (0,)) for i in range(100_000)}, b"")
)
safetensors.add("bad-name", "name with half a surrogate pair", _file(b'{"\\ud800":%s}' % json.dumps(_entry()).encode()))
safetensors.add("no-tensors", "no entry at all", _file({}, b""))
safetensors.add(
    "duplicate-key", "flat data that names a tensor twice", zlib.compress(struct.pack("<I", 2) + b"{}" + bytes(64))
)


def _npy(header: str, body: bytes = bytes(64)) -> bytes:
    raw = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw + body


def _npy_header(shape: str, dtype: str = "'<f4'") -> str:
    return f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}"


def _single() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def _bit_flipped() -> bytes:
    data = bytearray(npz())
    data[data.index(b"PK\x01\x02") - 1] ^= 1  # the last byte of the last array
    return bytes(data)


arrays = Group("npz")
arrays.add("numpy-pickle", "object array", lambda: npz({"w": np.array([{}, []], object)}))
arrays.add("numpy-pickle", "record array with an object", lambda: npz({"w": np.zeros(2, [("a", "O")])}))
arrays.add("bad-npy", "64 bytes that claim 4 TB", zip_of({"w.npy": _npy(_npy_header("(1099511627776,)"))}))
arrays.add("bad-npy", "negative shape", zip_of({"w.npy": _npy(_npy_header("(-16,)"))}))
arrays.add("bad-npy", "code in the header", zip_of({"w.npy": _npy("__import__('os').system('id')")}))
arrays.add("bad-npy", "header cut off", zip_of({"w.npy": _npy(_npy_header("(16,)"))[:20]}))
arrays.add("bad-npy", "bytes after the array", zip_of({"w.npy": _npy(_npy_header("(4,)"))}))
arrays.add("bad-npy", "empty record", zip_of({"w.npy": b""}))
arrays.add("unsupported-dtype", "strings", lambda: npz({"w": np.array(["a", "b"])}))
arrays.add("unsupported-dtype", "dates", lambda: npz({"w": np.zeros(2, "M8[s]")}))
arrays.add("unsupported-dtype", "complex numbers", lambda: npz({"w": np.zeros(2, np.complex64)}))
arrays.add("unsupported-dtype", "integers that float32 cannot hold", lambda: npz({"w": np.array([(1 << 24) + 1])}))
arrays.add("zip-crc", "one bit flipped", _bit_flipped)
arrays.add(
    "bomb", "65 MiB of zeros, deflated", lambda: npz({"w": np.zeros(65 << 20, np.int8)}, deflate=True), jail=True
)
arrays.add("unsupported-format", "a single npy", _single)

GROUPS = [safetensors, arrays]
