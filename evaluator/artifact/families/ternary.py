"""F11: one small dictionary per tensor, for weights of one to two bits.

Format: usually xz of a torch zip ``{NAME: entry}``, by ``entry["type"]``:

* ``ternary``, ``ternary_bitmask``: ``packed`` bytes of ``n_trits`` codes (:func:`.bits.unpack_trits`,
  :func:`.bits.unpack_masked_signs`), ``scale`` fp16 per group of ``group_size`` codes, ``shape`` of the matrix,
  ``padded_cols`` its columns with padding to whole groups, ``orig_shape`` of the live tensor;
* ``binary``: the same with ``n_bits`` and :func:`.bits.unpack_signs`;
* ``fp4``: ``packed`` uint8 tensor of nibbles, ``scale`` fp16 per row, ``shape``;
* ``fp8``, ``fp16``: the tensor ``data``.

Equal keys mean different arithmetic in the two families of ternary writers. #640 and its descendants divide the scale
by the mean of ``|q|`` in the group. #1609 takes ``q * scale`` and marks what it writes: by ``turbo`` (each group is
then multiplied by the Hadamard matrix of its width), by ``threshold`` and ``scale_mult`` (already in the scale), or by
an entry of type ``meta_export_calib``. One mark anywhere makes the whole file #1609's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from evaluator.artifact import bits, torch_zip
from evaluator.artifact.codecs import compress
from evaluator.artifact.container import Contents
from evaluator.artifact.family import Weights
from evaluator.artifact.hadamard import rotate
from evaluator.artifact.numerics import Array, Float32, dequantise, to_float32
from evaluator.refusal import Refused

NAME: Final = "ternary"
_META: Final = "meta_export_calib"
_GROUPED: Final[Mapping[str, tuple[str, Callable[[str, bytes, int], bits.Codes]]]] = {
    "ternary": ("n_trits", bits.unpack_trits),
    "ternary_bitmask": ("n_trits", bits.unpack_masked_signs),
    "binary": ("n_bits", bits.unpack_signs),
}
_PLAIN: Final = ("fp4", "fp8", "fp16", _META)
_MARKS: Final = ("turbo", "threshold", "scale_mult")
_SIDE: Final = 1 << 24


def recognise(contents: Contents) -> bool:
    """A dictionary of entries of the known types, at least one of them of a low-bit type."""
    tree = contents.object
    if not isinstance(tree, dict) or not tree:
        return False
    kinds = [entry.get("type") if isinstance(entry, dict) else None for entry in tree.values()]
    return (
        all(isinstance(kind, str) and kind in (*_GROUPED, *_PLAIN) for kind in kinds)
        and any(kind in (*_GROUPED, "fp4", "fp8") for kind in kinds)
        and all(isinstance(name, str) for name in tree)
    )


def decode(contents: Contents) -> Weights:
    """Reconstruct all tensors.

    Raises:
        Refused: ``missing-key``, ``bad-packing``, ``wrong-scale`` and what dequantisation refuses.
    """
    tree = contents.object
    grouped = [entry for entry in tree.values() if entry["type"].startswith("ternary")]
    marked = any(entry["type"] == _META or any(mark in entry for mark in _MARKS) for entry in tree.values())
    tensors = {name: _tensor(name, entry, shrunk=not marked) for name, entry in tree.items() if entry["type"] != _META}
    reading = "q * scale" if marked else "q * scale / mean|q| per group, as #640 writes them"
    return Weights(tensors, notes=(f"ternary codes read as {reading}",) if grouped else ())


def _tensor(name: str, entry: Mapping[str, Any], *, shrunk: bool) -> Float32:
    match entry:
        case {"type": "fp16" | "fp8", "data": np.ndarray() as data}:
            return to_float32(name, data)
        case {"type": "fp4", "packed": np.ndarray() as packed, "scale": np.ndarray() as scale, "shape": list(shape)}:
            sizes = _sizes(name, shape)
            codes = bits.unpack_nibbles(name, packed.tobytes(), prod(sizes))
            return dequantise(name, codes.reshape(prod(sizes[:-1]), -1), scale.reshape(-1)).reshape(sizes)
        case {"type": str(kind), "packed": bytes(packed), "scale": np.ndarray() as scale} if kind in _GROUPED:
            count_key, unpack = _GROUPED[kind]
            layout = _layout(name, entry, count_key)
            codes = unpack(name, packed, layout.count).reshape(-1, layout.group)
            weight = _dequantise(name, codes, scale, shrunk=shrunk and kind != "binary")
            if entry.get("turbo"):
                if layout.group & (layout.group - 1):
                    raise Refused("bad-packing", f"{name!r} is rotated in groups of {layout.group}, no power of two")
                weight = rotate(weight)
            rows, columns = layout.shape
            return weight.reshape(rows, layout.padded)[:, :columns].reshape(layout.live)
    raise Refused(
        "missing-key", f"the entry {name!r} of type {entry['type']!r} lacks a part or has one of another kind"
    )


def _dequantise(name: str, codes: bits.Codes, scale: Array, *, shrunk: bool) -> Float32:
    if not shrunk:
        return dequantise(name, codes, scale)
    # In float32 and in this order, as the writer's own loader does.
    mean = np.maximum(np.abs(codes).sum(axis=1, dtype=np.float32) / np.float32(codes.shape[1]), np.float32(1e-8))
    steps = to_float32(name, scale)
    if steps.shape != mean.shape:
        raise Refused("wrong-scale", f"{name!r} has {len(mean)} groups and scales {list(steps.shape)}")
    return dequantise(name, codes, steps / mean)


@dataclass(frozen=True, slots=True)
class _Layout:
    count: int
    group: int
    padded: int
    shape: tuple[int, int]
    live: tuple[int, ...]


def _layout(name: str, entry: Mapping[str, Any], count_key: str) -> _Layout:
    """The sizes of a grouped entry, checked against one another."""
    match entry:
        case {"shape": list(shape), "padded_cols": int(padded), "group_size": int(group)}:
            sizes, count = _sizes(name, shape), entry.get(count_key)
            live = _sizes(name, entry.get("orig_shape") or shape)
            if (
                len(sizes) == 2
                and 0 < group <= padded <= _SIDE
                and sizes[1] <= padded
                and count == sizes[0] * padded
                and count % group == 0
                and prod(live) == prod(sizes)
            ):
                return _Layout(sizes[0] * padded, group, padded, (sizes[0], sizes[1]), live)
    raise Refused("bad-packing", f"the sizes that the entry {name!r} gives contradict one another")


def _sizes(name: str, shape: Any) -> tuple[int, ...]:
    if isinstance(shape, list) and 0 < len(shape) <= 4 and all(type(n) is int and 0 < n <= _SIDE for n in shape):
        return tuple(shape)
    raise Refused("bad-packing", f"the entry {name!r} has a shape that is none")


@dataclass(frozen=True, slots=True, eq=False)
class LowBit:
    """A matrix of low-bit codes in groups, for the writer.

    Attributes:
        kind: how the codes are packed.
        codes: int8 ``(rows, padded columns)``: -1, 0, 1, or -1, 1 for ``binary``.
        scale: fp16, one per group of consecutive codes.
        columns: columns of the matrix without padding.
        live: shape of the live tensor; the matrix's own if None.
        turbo: whether the groups were rotated.
    """

    kind: Literal["ternary", "ternary_bitmask", "binary"]
    codes: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float16]
    columns: int
    live: tuple[int, ...] | None = None
    turbo: bool = False


def write(tensors: Mapping[str, Array | LowBit], *, codec: str = "lzma") -> bytes:
    """A whole artifact of this family; arrays are stored as fp16. Equal input gives equal bytes."""
    packers = {"ternary": bits.pack_trits, "ternary_bitmask": bits.pack_masked_signs, "binary": bits.pack_signs}
    tree: dict[str, dict[str, Any]] = {}
    for name, value in tensors.items():
        if not isinstance(value, LowBit):
            tree[name] = {"type": "fp16", "data": value.astype(np.float16)}
            continue
        rows, padded = value.codes.shape
        shape = [rows, value.columns]
        tree[name] = {
            "type": value.kind,
            "packed": packers[value.kind](value.codes),
            "scale": value.scale,
            "shape": shape,
            "padded_cols": padded,
            "group_size": value.codes.size // value.scale.size,
            _GROUPED[value.kind][0]: value.codes.size,
            "orig_shape": shape if value.live is None else list(value.live),
            **({"turbo": True} if value.turbo else {}),
        }
    return compress(torch_zip.write(tree), codec)
