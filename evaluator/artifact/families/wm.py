"""F3, F4 and F5: the dictionary ``{"w": tensors, "m": meta}``, plain or byte-shuffled.

Format: a torch zip, often byte-shuffled (BSHF), compressed by zstd, zlib, xz or brotli. ``m`` says for each tensor
``NAME`` how ``w`` holds it:

* ``passthrough``, ``passthrough_ctrl``, ``passthrough_fp16`` or ``passthrough (float16)``: ``w[NAME]``;
* ``{"type": "int8" | "int7" | "int6" | "int5" | "int4"}`` or ``gptq (int6)`` and the like: ``w[NAME.q]``, int8, and
  ``w[NAME.scale]``, fp16 ``(rows,)`` or one element.

Decode: ``W = q * scale`` in float32. The live dtype is the model's, not the file's. Bit packing does not occur. Tensors
whose own name ends in ``.scale`` are told apart by ``m``. Banked models are exported unbanked: nothing to do here.
Schemes with corrections (``gate_int8_row``, ``+lqer``, ``+awqgrp``) belong to other families and are refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from evaluator.artifact import byteshuffle, torch_zip
from evaluator.artifact.codecs import compress
from evaluator.artifact.container import Contents
from evaluator.artifact.family import Weights
from evaluator.artifact.numerics import Array, Float32, Quantised, Storable, dequantise, to_float32
from evaluator.artifact.tables import arrays
from evaluator.refusal import Refused

NAME: Final = "wm"
_KEPT: Final = re.compile(r"passthrough(_ctrl|_fp16| \((float16|float32|bfloat16)\))?")
_CODES: Final = re.compile(r"gptq \(int[45678]\)")
_TYPES: Final = {"int4", "int5", "int6", "int7", "int8"}


def recognise(contents: Contents) -> bool:
    """A dictionary of exactly ``w`` and ``m``."""
    return isinstance(contents.object, dict) and contents.object.keys() == {"w", "m"}


def decode(contents: Contents) -> Weights:
    """Reconstruct all tensors.

    Raises:
        Refused: ``unsupported-scheme``, ``missing-tensor``, ``missing-codes``, ``missing-scale``, ``extra-tensor``,
            ``bad-tree`` and what dequantisation refuses.
    """
    stored, meta = arrays(contents.object["w"], "w"), contents.object["m"]
    if not isinstance(meta, dict):
        raise Refused("bad-tree", "'m' is not a dictionary")
    tensors: dict[str, Float32] = {}
    for name, scheme in meta.items():
        if _is_quantised(name, scheme):
            codes = _take(stored, f"{name}.q", "missing-codes")
            tensors[name] = dequantise(name, codes, _take(stored, f"{name}.scale", "missing-scale"))
        else:
            tensors[name] = to_float32(name, _take(stored, name, "missing-tensor"))
    if stored:
        raise Refused("extra-tensor", f"'m' does not say what {min(stored)!r} is ({len(stored)} such tensors)")
    return Weights(tensors)


def _is_quantised(name: Any, scheme: Any) -> bool:
    if not isinstance(name, str):
        raise Refused("bad-tree", f"'m' has a {type(name).__name__} among its names")
    match scheme:
        case str() if _KEPT.fullmatch(scheme):
            return False
        case str() if _CODES.fullmatch(scheme):
            return True
        case {"type": str(kind), **more} if kind in _TYPES and not more:
            return True
        case str(words) | {"type": str(words)}:
            raise Refused("unsupported-scheme", f"{name!r} is stored by the scheme {words!r}")
    raise Refused("unsupported-scheme", f"the scheme of {name!r} is a {type(scheme).__name__}")


def _take(stored: dict[str, Array], key: str, reason: str) -> Array:
    if key not in stored:
        raise Refused(reason, f"'m' promises {key!r}, 'w' does not hold it")
    return stored.pop(key)


def write(
    tensors: Mapping[str, Storable],
    *,
    codec: str = "brotli",
    shuffle: bool = True,
    meta: Literal["type", "gptq"] = "gptq",
) -> bytes:
    """A whole artifact of this family; equal input gives equal bytes.

    Args:
        tensors: quantised tensors and arrays to keep.
        codec: outer compression, as for :func:`evaluator.artifact.codecs.compress`.
        shuffle: whether to byte-shuffle before compression, stride 2.
        meta: ``"gptq"`` writes ``gptq (int6)``, ``"type"`` writes ``{"type": "int6"}``.
    """
    stored: dict[str, Array] = {}
    schemes: dict[str, Any] = {}
    for name, value in tensors.items():
        if isinstance(value, Quantised):
            stored[f"{name}.q"], stored[f"{name}.scale"] = value.codes, value.scale
            schemes[name] = f"gptq (int{value.bits})" if meta == "gptq" else {"type": f"int{value.bits}"}
        else:
            stored[name] = value
            schemes[name] = f"passthrough ({value.dtype})" if meta == "gptq" else "passthrough"
    raw = torch_zip.write({"w": stored, "m": schemes})
    return compress(byteshuffle.shuffle(raw) if shuffle else raw, codec)
