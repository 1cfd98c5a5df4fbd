"""F1, F2 and F9, the baseline's "clean dictionary" and its variants with the standard keys.

Format: usually zlib of a torch zip, or of a bare pickle of numpy arrays (MLX), with one dictionary:

* ``__quant_format__``: a label such as ``int8_clean_per_row_v1``;
* ``quantized``: name -> int8 codes; narrower codes sit in int8 too;
* ``scales``: name -> fp16 ``(rows,)``, or fp32 of no dimension;
* ``dtypes``: name -> dtype of the live tensor, such as ``float32`` or ``bfloat16``;
* ``passthrough``: name -> tensor kept as it was, or as fp16;
* optional ``qmeta``: name -> ``{"scheme": "per_row", "axis": 0}`` or ``{"scheme": "per_tensor"}``, perhaps with
  ``bits``, perhaps with ``col_scale``, a scale per column that the row-scaled matrix is divided by (#1015, #1447);
* optional ``passthrough_orig_dtypes``: name -> dtype of the live tensor.

In place of ``quantized`` there may be ``quantized_packed``, name -> bytes of 6-bit codes, and ``quantized_shapes``,
name -> shape (#170).

Decode: ``W = codes * scale`` in float32, per row where the scale has an axis, then rounded to the live dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Final

import numpy as np

from evaluator.artifact import bits, numpy_pickle, torch_zip
from evaluator.artifact.codecs import compress
from evaluator.artifact.container import Contents
from evaluator.artifact.family import Weights
from evaluator.artifact.numerics import Array, Float32, Quantised, Storable, cast, dequantise, to_float32
from evaluator.artifact.tables import array_table, dictionary, same_names, string_table
from evaluator.refusal import Refused

NAME: Final = "clean-dict"
FORMAT: Final = "int8_clean_per_row_v1"
_REQUIRED: Final = {"scales", "dtypes", "passthrough"}
_CODES: Final = ({"quantized"}, {"quantized_packed", "quantized_shapes"})
_OPTIONAL: Final = {"__quant_format__", "qmeta", "passthrough_orig_dtypes"}


def recognise(contents: Contents) -> bool:
    """A dictionary with codes and scales under the standard keys."""
    tree = contents.object
    return isinstance(tree, dict) and "scales" in tree and ("quantized" in tree or "quantized_packed" in tree)


def decode(contents: Contents) -> Weights:
    """Reconstruct all tensors.

    Raises:
        Refused: ``unsupported-scheme`` for keys or schemes beyond the standard ones; ``missing-key``,
            ``missing-codes``, ``missing-scale``, ``duplicate-tensor``, ``bad-tree`` and what dequantisation refuses.
    """
    tree: dict[str, Any] = contents.object
    packed = "quantized" not in tree
    required = _REQUIRED | _CODES[packed]
    if extra := sorted(map(str, tree.keys() - required - _OPTIONAL)):
        raise Refused("unsupported-scheme", f"the clean dictionary has keys beyond the standard ones: {extra}")
    if missing := sorted(required - tree.keys()):
        raise Refused("missing-key", f"the clean dictionary lacks {missing}")
    codes, scales = _unpacked(tree) if packed else array_table(tree, "quantized"), array_table(tree, "scales")
    kept, dtypes = array_table(tree, "passthrough"), string_table(tree, "dtypes")
    kept_dtypes = string_table(tree, "passthrough_orig_dtypes")
    columns = _column_scales(tree.get("qmeta", {}))
    same_names(codes, scales, "missing-scale", "has codes but no scale")
    same_names(scales, codes, "missing-codes", "has a scale but no codes")
    same_names(codes, dtypes, "missing-key", "has codes but no dtype")
    if both := sorted(codes.keys() & kept.keys()):
        raise Refused("duplicate-tensor", f"{both[0]!r} is both quantised and passed through")
    tensors: dict[str, Float32] = {}
    for name in codes:
        weight = dequantise(name, codes[name], scales[name])
        if name in columns:
            weight = _divided(name, weight, columns[name])
        tensors[name] = cast(name, weight, dtypes[name])
    for name, values in kept.items():
        tensors[name] = to_float32(name, values)
        if name in kept_dtypes:
            tensors[name] = cast(name, tensors[name], kept_dtypes[name])
    label = tree.get("__quant_format__")
    return Weights(tensors, notes=(f"quantisation format {label!r}",) if isinstance(label, str) else ())


def _unpacked(tree: Mapping[str, Any]) -> dict[str, Array]:
    shapes = dictionary(tree["quantized_shapes"], "quantized_shapes")
    codes: dict[str, Array] = {}
    for name, data in dictionary(tree["quantized_packed"], "quantized_packed").items():
        shape = shapes.get(name)
        if not isinstance(name, str) or not isinstance(data, bytes):
            raise Refused("bad-tree", "'quantized_packed' holds something other than bytes by name")
        if not isinstance(shape, list) or not all(type(size) is int and size > 0 for size in shape):
            raise Refused("bad-packing", f"the packed codes of {name!r} have no shape")
        codes[name] = bits.unpack_int6(name, data, prod(shape)).reshape(shape)
    return codes


def _column_scales(qmeta: Any) -> dict[str, Array]:
    """The scales per column by name; all else that ``qmeta`` says must be what is done anyway."""
    columns: dict[str, Array] = {}
    for name, scheme in dictionary(qmeta, "qmeta").items():
        match scheme:
            # Types first: an array would be compared element by element.
            case {"scheme": str(kind), "axis": int(axis), **more} if (kind, axis) == ("per_row", 0):
                pass
            case {"scheme": str(kind), **more} if kind == "per_tensor" and "axis" not in more:
                pass
            case _:
                more = {"scheme": None}
        column_scale = more.pop("col_scale", None)
        if isinstance(column_scale, np.ndarray):
            columns[name] = column_scale
        elif column_scale is not None:
            more["col_scale"] = column_scale
        if more.keys() - {"bits"}:
            raise Refused("unsupported-scheme", f"qmeta says that {name!r} is quantised otherwise than per row")
    return columns


def _divided(name: str, weight: Float32, columns: Array) -> Float32:
    scale = to_float32(name, columns)
    if weight.ndim != 2 or scale.shape != weight.shape[1:]:
        raise Refused("wrong-scale", f"{name!r} {list(weight.shape)} has column scales {list(scale.shape)}")
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # infinity is refused where all are checked
        return weight / scale


def tree_of(tensors: Mapping[str, Storable], dtypes: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The clean dictionary of ``tensors``.

    Args:
        tensors: quantised tensors and arrays to pass through.
        dtypes: live dtype by name, ``float32`` where absent.
    """
    live = dtypes or {}
    quantised = {name: value for name, value in tensors.items() if isinstance(value, Quantised)}
    kept: dict[str, Array] = {name: value for name, value in tensors.items() if not isinstance(value, Quantised)}
    return {
        "__quant_format__": FORMAT,
        "quantized": {name: value.codes for name, value in quantised.items()},
        "scales": {name: value.scale for name, value in quantised.items()},
        "dtypes": {name: live.get(name, "float32") for name in quantised},
        "passthrough": kept,
        "qmeta": {name: {"scheme": "per_row", "axis": 0} for name, v in quantised.items() if v.scale.ndim},
        "passthrough_orig_dtypes": {
            name: live.get(name, "float32") for name, value in kept.items() if value.dtype == np.float16
        },
    }


def write(tensors: Mapping[str, Storable], dtypes: Mapping[str, str] | None = None) -> bytes:
    """The torch zip of :func:`tree_of`, uncompressed; equal input gives equal bytes."""
    return torch_zip.write(tree_of(tensors, dtypes))


def write_packed(tensors: Mapping[str, Storable]) -> bytes:
    """The same with all codes packed into 6 bits."""
    tree = tree_of(tensors)
    codes = tree.pop("quantized")
    tree["quantized_packed"] = {name: bits.pack_int6(values) for name, values in codes.items()}
    tree["quantized_shapes"] = {name: list(values.shape) for name, values in codes.items()}
    return torch_zip.write(tree)


def write_pickle(tensors: Mapping[str, Storable]) -> bytes:
    """The same as a bare pickle of numpy arrays (F9), compressed by zlib."""
    return compress(numpy_pickle.write(tree_of(tensors)), "zlib")
