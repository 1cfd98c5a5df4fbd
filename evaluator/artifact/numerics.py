"""Number formats of weights, in numpy: bfloat16, exact widening to float32, dequantisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluator.refusal import Refused

Array = npt.NDArray[Any]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """A tensor as integer codes and scales: ``W = codes * scale``, the scale per row where it has an axis.

    Attributes:
        codes: int8, any shape; narrower codes sit in int8 too.
        scale: float16 or float32, shape ``(rows,)`` or ``()``.
        bits: width of the codes, which some families record in words.
    """

    codes: npt.NDArray[np.int8]
    scale: Array
    bits: int = 8


Storable = Array | Quantised
"""What a writer takes per name."""


def widen_bfloat16(bits: npt.NDArray[np.uint16]) -> Float32:
    """The float32 values of bfloat16 bit patterns; exact."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def round_to_bfloat16(values: Float32) -> Float32:
    """``values`` rounded to the nearest bfloat16, half to even, as float32 (for finite values)."""
    bits = values.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return ((bits + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)).view(np.float32)


def cast(name: str, values: Float32, dtype: str) -> Float32:
    """``values`` as a load into a tensor of ``dtype`` would leave them, in float32.

    Raises:
        Refused: ``unsupported-dtype``: neither float32, bfloat16, float16 nor float64.
    """
    match dtype.removeprefix("torch."):
        case "float32" | "float64":
            return values
        case "bfloat16":
            return round_to_bfloat16(np.ascontiguousarray(values))
        case "float16":
            with np.errstate(over="ignore"):  # infinity is refused where all tensors are checked
                return values.astype(np.float16).astype(np.float32)
    raise Refused("unsupported-dtype", f"tensor {name!r} was of dtype {dtype!r}, which weights do not have")


def to_float32(name: str, values: Array) -> Float32:
    """``values`` as float32: floats rounded once, integers only if exact.

    Raises:
        Refused: ``unsupported-dtype``: complex, object and the like, or integers beyond 2**24.
    """
    if values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return values.astype(np.float32)
    if values.dtype.kind in "iub" and (values.size == 0 or -(1 << 24) <= values.min() <= values.max() <= 1 << 24):
        return values.astype(np.float32)
    raise Refused("unsupported-dtype", f"tensor {name!r} holds {values.dtype} values that weights cannot be")


def dequantise(name: str, codes: Array, scale: Array) -> Float32:
    """``codes * scale`` in float32.

    Args:
        name: for messages.
        codes: int8, shape ``(rows, ...)``.
        scale: a float dtype, shape ``(rows,)``, or one element for the whole tensor.

    Raises:
        Refused: ``wrong-dtype`` or ``wrong-scale``.
    """
    if codes.dtype != np.int8:
        raise Refused("wrong-dtype", f"the codes of {name!r} are {codes.dtype}, not int8")
    if scale.dtype.kind != "f":
        raise Refused("wrong-dtype", f"the scales of {name!r} are {scale.dtype}, not floating point")
    step = to_float32(name, scale)
    if not np.isfinite(step).all():
        raise Refused("not-finite", f"a scale of {name!r} is infinite or not a number")
    if step.size == 1:
        step = step.reshape(())
    elif codes.ndim and step.shape == codes.shape[:1]:
        step = step.reshape(-1, *[1] * (codes.ndim - 1))
    else:
        raise Refused("wrong-scale", f"{name!r} has codes {list(codes.shape)} and scales {list(scale.shape)}")
    with np.errstate(over="ignore"):  # infinity is refused where all tensors are checked
        return np.multiply(codes, step, dtype=np.float32)
