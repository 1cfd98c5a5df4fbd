"""F1 and F2, the baseline's "clean dictionary" and its variants with the standard keys.

Format: usually zlib of a torch zip with one dictionary:

* ``__quant_format__``: a label such as ``int8_clean_per_row_v1``;
* ``quantized``: name -> int8 codes; narrower codes sit in int8 too;
* ``scales``: name -> fp16 ``(rows,)``, or fp32 of no dimension;
* ``dtypes``: name -> dtype of the live tensor, such as ``float32`` or ``bfloat16``;
* ``passthrough``: name -> tensor kept as it was, or as fp16;
* optional ``qmeta``: name -> ``{"scheme": "per_row", "axis": 0}``;
* optional ``passthrough_orig_dtypes``: name -> dtype of the live tensor.

Decode: ``W = codes * scale`` in float32, per row where the scale has an axis, then rounded to the live dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from evaluator.artifact import torch_zip
from evaluator.artifact.container import Contents
from evaluator.artifact.family import Weights
from evaluator.artifact.numerics import Array, Float32, Quantised, Storable, cast, dequantise, to_float32
from evaluator.artifact.tables import array_table, same_names, string_table
from evaluator.refusal import Refused

NAME: Final = "clean-dict"
FORMAT: Final = "int8_clean_per_row_v1"
_REQUIRED: Final = {"quantized", "scales", "dtypes", "passthrough"}
_OPTIONAL: Final = {"__quant_format__", "qmeta", "passthrough_orig_dtypes"}


def recognise(contents: Contents) -> bool:
    """A dictionary with codes and scales under the standard keys."""
    return isinstance(contents.object, dict) and {"quantized", "scales"} <= contents.object.keys()


def decode(contents: Contents) -> Weights:
    """Reconstruct all tensors.

    Raises:
        Refused: ``unsupported-scheme`` for keys or schemes beyond the standard ones; ``missing-key``,
            ``missing-codes``, ``missing-scale``, ``duplicate-tensor``, ``bad-tree`` and what dequantisation refuses.
    """
    tree: dict[str, Any] = contents.object
    if extra := sorted(map(str, tree.keys() - _REQUIRED - _OPTIONAL)):
        raise Refused("unsupported-scheme", f"the clean dictionary has keys beyond the standard ones: {extra}")
    if missing := sorted(_REQUIRED - tree.keys()):
        raise Refused("missing-key", f"the clean dictionary lacks {missing}")
    codes, scales = array_table(tree, "quantized"), array_table(tree, "scales")
    kept, dtypes = array_table(tree, "passthrough"), string_table(tree, "dtypes")
    kept_dtypes = string_table(tree, "passthrough_orig_dtypes")
    _check_schemes(tree.get("qmeta", {}))
    same_names(codes, scales, "missing-scale", "has codes but no scale")
    same_names(scales, codes, "missing-codes", "has a scale but no codes")
    same_names(codes, dtypes, "missing-key", "has codes but no dtype")
    if both := sorted(codes.keys() & kept.keys()):
        raise Refused("duplicate-tensor", f"{both[0]!r} is both quantised and passed through")
    tensors: dict[str, Float32] = {}
    for name in codes:
        tensors[name] = cast(name, dequantise(name, codes[name], scales[name]), dtypes[name])
    for name, values in kept.items():
        tensors[name] = to_float32(name, values)
        if name in kept_dtypes:
            tensors[name] = cast(name, tensors[name], kept_dtypes[name])
    label = tree.get("__quant_format__")
    return Weights(tensors, notes=(f"quantisation format {label!r}",) if isinstance(label, str) else ())


def _check_schemes(qmeta: Any) -> None:
    if not isinstance(qmeta, dict):
        raise Refused("bad-tree", "qmeta is not a dictionary")
    for name, scheme in qmeta.items():
        match scheme:
            # Types first: an array would be compared element by element.
            case {"scheme": str(kind), "axis": int(axis), **more} if (kind, axis) == ("per_row", 0) and not more:
                continue
        raise Refused("unsupported-scheme", f"qmeta says that {name!r} is quantised otherwise than per row")


def write(tensors: Mapping[str, Storable], dtypes: Mapping[str, str] | None = None) -> bytes:
    """The torch zip of a clean dictionary, uncompressed; equal input gives equal bytes.

    Args:
        tensors: quantised tensors and arrays to pass through.
        dtypes: live dtype by name, ``float32`` where absent.
    """
    live = dtypes or {}
    quantised = {name: value for name, value in tensors.items() if isinstance(value, Quantised)}
    kept: dict[str, Array] = {name: value for name, value in tensors.items() if not isinstance(value, Quantised)}
    return torch_zip.write(
        {
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
    )
