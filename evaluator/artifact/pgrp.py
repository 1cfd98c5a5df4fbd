"""PGRP, the per-group containers: codes compressed apart from the rest, so that one model of ZPAQ sees one kind.

Version 1 (#1855, #2140): ``PGRP``, u32 number of streams (9), so many u32 lengths, the streams. Seven are lrzip files,
one per group of :data:`GROUPS` (empty if the model has none), each the int8 matrices of blocks 0, 1, ... stored as
:mod:`evaluator.artifact.row_order` says; rows are reordered in three of the groups. The eighth is brotli of a torch zip
``{r: all other tensors, m: meta, s: {group: [shapes]}}``; the ninth brotli of the row orders, u16, in the order of the
groups and blocks.

Version 2 (#2130, #2149): ``PGRP``, u32 2, u32 count, per matrix (sorted by name) u16 length of its name, name, u32
rows, u32 columns, rows x u16 order; then u8 method (1 lrzip, 0 brotli), u32 length and all matrices as one stream; u32
length and brotli of the byte-shuffled torch zip ``{w: all other tensors, m: meta}``.

The u32 after the magic tells the versions apart. Both open as the dictionary ``{w, m}`` of
:mod:`evaluator.artifact.entries`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import Any, Final

import numpy as np

from evaluator.artifact import byteshuffle, codecs, lrzip, row_order, torch_zip
from evaluator.artifact.container import Contents
from evaluator.artifact.cursor import Cursor
from evaluator.artifact.limits import DecodeLimits
from evaluator.artifact.numerics import Array
from evaluator.artifact.tables import arrays, dictionary
from evaluator.refusal import Refused

MAGIC: Final = b"PGRP"
CONTAINER: Final = "pgrp"
GROUPS: Final = (
    "_tok_emb.weight.q",
    "attn.c_k.weight.q",
    "attn.c_q.weight.q",
    "attn.c_v.weight.q",
    "attn.proj.weight.q",
    "mlp.fc.weight.q",
    "mlp.proj.weight.q",
)
"""Groups of version 1 in their order; a leading underscore marks one that does not belong to blocks."""
_REORDERED: Final = frozenset({"_tok_emb.weight.q", "attn.c_q.weight.q", "mlp.fc.weight.q"})
_STREAMS: Final = len(GROUPS) + 2
_LRZIP, _BROTLI = 1, 0


def read(data: bytes, limits: DecodeLimits) -> Contents:
    """Open a PGRP file: the object is ``{"w": tensors, "m": meta}``.

    Raises:
        Refused: ``unsupported-version``, ``truncated``, ``trailing-data``, ``bad-streams``, ``bad-permutation``,
            ``duplicate-tensor``, and every reason of lrzip, of the codecs and of the torch zip.
    """
    cursor = Cursor(data, "the per-group container")
    cursor.take(len(MAGIC))
    match cursor.unsigned(4):
        case 2:
            codes, others, schemes = _read_named(cursor, limits)
        case number if number == _STREAMS:
            codes, others, schemes = _read_groups(cursor, limits)
        case number:
            raise Refused("unsupported-version", f"a per-group container with {number} after its magic is not known")
    if both := sorted(codes.keys() & others.keys()):
        raise Refused("duplicate-tensor", f"{both[0]!r} is stored in a group and beside it")
    return Contents(CONTAINER, {"w": codes | others, "m": schemes})


def _read_groups(cursor: Cursor, limits: DecodeLimits) -> tuple[dict[str, Array], dict[str, Array], Any]:
    lengths = [cursor.unsigned(4) for _ in range(_STREAMS)]
    *streams, rest, orders = [cursor.take(length) for length in lengths]
    cursor.finish()
    tree = dictionary(torch_zip.read(codecs.decompress(rest, "brotli", limits.raw_bytes), limits).object, "remainder")
    shapes = _shapes(dictionary(tree.get("s"), "s"), limits)
    if [bool(stream) for stream in streams] != [group in shapes for group in GROUPS]:
        raise Refused("bad-streams", "the groups with shapes are not the groups with streams")
    row_orders = Cursor(codecs.decompress(orders, "brotli", limits.raw_bytes) if orders else b"", "the row orders")
    codes: dict[str, Array] = {}
    for group, raw in zip(shapes, _expand([stream for stream in streams if stream], limits), strict=True):
        matrices = Cursor(raw, f"group {group!r}")
        for index, (rows, columns) in enumerate(shapes[group]):
            name = _name(group, index)
            order = row_orders.uint16s(rows) if group in _REORDERED else None
            codes[name] = row_order.restore(name, matrices.take(rows * columns), rows, columns, order)
        matrices.finish()
    row_orders.finish()
    return codes, arrays(tree.get("r"), "r"), tree.get("m")


def _shapes(table: Mapping[Any, Any], limits: DecodeLimits) -> dict[str, list[tuple[int, int]]]:
    """Shapes of the matrices by group, in the order of the groups."""
    if unknown := sorted(map(str, table.keys() - set(GROUPS))):
        raise Refused("bad-streams", f"the per-group container names a group {unknown[0]!r}")
    shapes: dict[str, list[tuple[int, int]]] = {}
    for group in filter(table.__contains__, GROUPS):
        shapes[group] = []
        for shape in table[group] if isinstance(table[group], list) else [None]:
            match shape:
                case [int(rows), int(columns)] if 0 < rows <= 1 << 16 and 0 < columns <= 1 << 20:
                    shapes[group].append((rows, columns))
                case _:
                    raise Refused("bad-streams", f"group {group!r} has a shape {shape!r}, which is no matrix")
    if 4 * sum(prod(shape) for group in shapes.values() for shape in group) > limits.tensor_bytes:
        raise Refused("tensors-too-large", f"the tensors exceed {limits.tensor_bytes:,} bytes as float32")
    return shapes


def _name(group: str, index: int) -> str:
    return group[1:] if group.startswith("_") else f"blocks.{index}.{group}"


def _expand(streams: list[bytes], limits: DecodeLimits) -> list[bytes]:
    """The contents of lrzip streams; each is a process, and they run side by side."""
    if sum(map(lrzip.content_size, streams)) > limits.raw_bytes:
        raise Refused("bomb", f"the groups claim to expand to more than {limits.raw_bytes:,} bytes")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(lambda stream: lrzip.decompress(stream, limits.raw_bytes), streams))


def _read_named(cursor: Cursor, limits: DecodeLimits) -> tuple[dict[str, Array], dict[str, Array], Any]:
    described: dict[str, tuple[int, int, row_order.Order]] = {}
    for _ in range(cursor.unsigned(4)):
        name, rows, columns = cursor.text(2), cursor.unsigned(4), cursor.unsigned(4)
        if name in described:
            raise Refused("duplicate-tensor", f"{name!r} is stored twice")
        described[name] = rows, columns, cursor.uint16s(rows)
        if len(described) > limits.tensors:
            raise Refused("too-many-tensors", f"the artifact holds more than {limits.tensors:,} tensors")
    if 4 * sum(rows * columns for rows, columns, _ in described.values()) > limits.tensor_bytes:
        raise Refused("tensors-too-large", f"the tensors exceed {limits.tensor_bytes:,} bytes as float32")
    method, packed = cursor.unsigned(1), cursor.take(cursor.unsigned(4))
    rest = cursor.take(cursor.unsigned(4))
    cursor.finish()
    match method:
        case 1:
            raw = _expand([packed], limits)[0]
        case 0:
            raw = codecs.decompress(packed, "brotli", limits.raw_bytes)
        case _:
            raise Refused("bad-streams", f"the per-group container names a compression method {method}")
    matrices = Cursor(raw, "the stream of codes")
    codes: dict[str, Array] = {
        name: row_order.restore(name, matrices.take(rows * columns), rows, columns, order)
        for name, (rows, columns, order) in described.items()
    }
    matrices.finish()
    inner = byteshuffle.unshuffle(codecs.decompress(rest, "brotli", limits.raw_bytes))
    tree = dictionary(torch_zip.read(inner, limits).object, "remainder")
    return codes, arrays(tree.get("w"), "w"), tree.get("m")


def write(stored: Mapping[str, Array], schemes: Mapping[str, Any]) -> bytes:
    """Version 1 of ``{w, m}``; needs lrzip.

    Raises:
        Refused: ``lrzip-missing``.
        ValueError: a group's blocks are not numbered 0, 1, ... without a gap, which the format cannot say.
    """
    rest = dict(stored)
    streams, orders, shapes = [], b"", {}
    for group in GROUPS:
        matrices: list[Array] = []
        while _name(group, len(matrices)) in rest and not (group.startswith("_") and matrices):
            matrices.append(rest.pop(_name(group, len(matrices))))
        if not group.startswith("_") and any(name.endswith(f".{group}") for name in rest):
            raise ValueError(f"the blocks of {group!r} are not numbered without a gap")
        packed = b""
        for codes in matrices:
            order = row_order.similar_rows(codes) if group in _REORDERED else None
            packed += row_order.store(codes, order)
            orders += b"" if order is None else order.astype("<u2").tobytes()
        if matrices:
            shapes[group] = [list(codes.shape) for codes in matrices]
        streams.append(lrzip.compress(packed) if packed else b"")
    streams.append(codecs.compress(torch_zip.write({"r": rest, "m": dict(schemes), "s": shapes}), "brotli"))
    streams.append(codecs.compress(orders, "brotli") if orders else b"")
    return MAGIC + struct.pack(f"<{_STREAMS + 1}I", _STREAMS, *map(len, streams)) + b"".join(streams)


def write_named(stored: Mapping[str, Array], schemes: Mapping[str, Any], *, with_lrzip: bool = False) -> bytes:
    """Version 2 of ``{w, m}``; every int8 matrix ``NAME.q`` goes into the stream.

    Raises:
        Refused: ``lrzip-missing``, if it is asked for.
    """
    names = sorted(name for name, codes in stored.items() if name.endswith(".q") and codes.ndim == 2)
    header, packed = struct.pack("<II", 2, len(names)), b""
    for name in names:
        codes = stored[name].astype(np.int8, copy=False)
        order = row_order.similar_rows(codes)
        header += struct.pack("<H", len(name.encode())) + name.encode() + struct.pack("<II", *codes.shape)
        header += order.astype("<u2").tobytes()
        packed += row_order.store(codes, order)
    stream = lrzip.compress(packed) if with_lrzip else codecs.compress(packed, "brotli")
    others = {name: values for name, values in stored.items() if name not in names}
    rest = codecs.compress(byteshuffle.shuffle(torch_zip.write({"w": others, "m": dict(schemes)})), "brotli")
    method = struct.pack("<BI", _LRZIP if with_lrzip else _BROTLI, len(stream))
    return MAGIC + header + method + stream + struct.pack("<I", len(rest)) + rest
