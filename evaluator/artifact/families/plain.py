"""A flat dictionary of tensors: safetensors, npz, or a torch state dict.

Format: name -> tensor. A quantised tensor is a pair, ``NAME.q`` and ``NAME.scale`` or ``NAME.__q`` and
``NAME.__scale`` (the flavour of #119): int8 codes and scales per row or one for all; ``W = q * scale``. A name that
ends in ``.scale`` without codes beside it is a parameter of its own (``bigram.scale``). Tensors without codes are
floating point, integers only where float32 holds them exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from evaluator.artifact import safetensors_file
from evaluator.artifact.container import Contents
from evaluator.artifact.family import Weights
from evaluator.artifact.numerics import Array, Float32, Quantised, Storable, dequantise, to_float32
from evaluator.artifact.tables import arrays
from evaluator.refusal import Refused

NAME: Final = "plain"
CANONICAL: Final = "referee-canonical-"
"""What the canonical format's mark starts with; other writers put ``pt`` or ``np`` in its place."""
_PAIRS: Final = ((".__q", ".__scale"), (".q", ".scale"))


def recognise(contents: Contents) -> bool:
    """A flat dictionary that holds tensors only, without the canonical format's mark."""
    tree = contents.object
    return (
        not contents.metadata.get("format", "").startswith(CANONICAL)
        and isinstance(tree, dict)
        and all(isinstance(value, np.ndarray) for value in tree.values())
    )


def decode(contents: Contents) -> Weights:
    """Reconstruct all tensors.

    Raises:
        Refused: ``missing-scale``, ``duplicate-tensor``, ``missing-codes`` and what dequantisation refuses.
    """
    return Weights(join(arrays(contents.object, "artifact")))


def join(stored: dict[str, Array]) -> dict[str, Float32]:
    """Dequantise the pairs in ``stored`` and widen the rest; raises as :func:`decode` does."""
    rest = dict(stored)
    tensors: dict[str, Float32] = {}
    for codes_suffix, scale_suffix in _PAIRS:
        for key in [key for key in stored if key.endswith(codes_suffix)]:
            name = key.removesuffix(codes_suffix)
            if f"{name}{scale_suffix}" not in rest:
                raise Refused("missing-scale", f"{name!r} has codes but no scale")
            if name in tensors or name in rest:
                raise Refused("duplicate-tensor", f"{name!r} is stored twice, in two ways")
            tensors[name] = dequantise(name, rest.pop(key), rest.pop(f"{name}{scale_suffix}"))
    for name, values in rest.items():
        if name.endswith(".__scale"):
            raise Refused("missing-codes", f"{name.removesuffix('.__scale')!r} has a scale but no codes")
        if values.dtype == np.int8:
            raise Refused("missing-scale", f"{name!r} is int8 without a scale")
        tensors[name] = to_float32(name, values)
    return tensors


def split(tensors: Mapping[str, Storable], suffixes: tuple[str, str] = (".q", ".scale")) -> dict[str, Array]:
    """The inverse of :func:`join`: arrays as they are stored."""
    stored: dict[str, Array] = {}
    for name, value in tensors.items():
        if isinstance(value, Quantised):
            stored[f"{name}{suffixes[0]}"], stored[f"{name}{suffixes[1]}"] = value.codes, value.scale
        else:
            stored[name] = value
    return stored


def write(tensors: Mapping[str, Storable], suffixes: tuple[str, str] = (".q", ".scale")) -> bytes:
    """A safetensors file, uncompressed; equal input gives equal bytes."""
    return safetensors_file.write(split(tensors, suffixes))
