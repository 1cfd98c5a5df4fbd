"""The entries of a ``{w, m}`` dictionary: how ``m`` says that ``w`` holds a tensor, in both directions.

``m`` names for each tensor ``NAME`` its scheme:

* ``passthrough``, ``passthrough_ctrl``, ``passthrough_fp16``, ``passthrough (float16)``: ``w[NAME]`` as it is;
* ``{"type": "int4" .. "int8"}`` or ``gptq (int6)`` and the like: ``w[NAME.q]``, int8, and ``w[NAME.scale]``, fp16
  ``(rows,)`` or one element; ``W = q * scale`` in float32;
* ``gptq (int6)`` followed by ``+awqgrpint8`` (:mod:`evaluator.artifact.column_groups`), then by ``+lqer_asym`` or
  ``+lqer`` (:mod:`evaluator.artifact.low_rank`), applied in this order;
* ``gate_int8_row``: ``w[NAME.gq]``, int8, and ``w[NAME.gs]``, fp16 ``(rows,)``; ``W = gq * gs``.

The live dtype is the model's, not the file's. A tensor whose own name ends in ``.scale`` is told apart by ``m``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from evaluator.artifact import column_groups, low_rank
from evaluator.artifact.column_groups import ColumnGroups
from evaluator.artifact.low_rank import LowRank
from evaluator.artifact.numerics import Array, Float32, Quantised, Storable, dequantise, to_float32
from evaluator.artifact.tables import take
from evaluator.refusal import Refused

GATE: Final = "gate_int8_row"
_KEPT: Final = re.compile(r"passthrough(_ctrl|_fp16| \((float16|float32|bfloat16)\))?")
_GPTQ: Final = re.compile(r"gptq \(int[45678]\)(?P<groups>\+awqgrpint[45678])?(?P<factors>\+lqer(_asym)?)?")
_TYPES: Final = {"int4", "int5", "int6", "int7", "int8"}


@dataclass(frozen=True, slots=True, eq=False)
class GateRows:
    """A small gate matrix as int8 codes and one fp16 scale per row."""

    codes: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True, eq=False)
class Corrected:
    """A quantised matrix with finer column groups, a low-rank correction, or both."""

    base: Quantised
    groups: ColumnGroups | None = None
    low_rank: LowRank | None = None


Entry = Storable | GateRows | Corrected
"""What a writer of ``{w, m}`` takes per name."""


def join(stored: Mapping[str, Array], schemes: Mapping[str, Any]) -> dict[str, Float32]:
    """Reconstruct all tensors.

    Raises:
        Refused: ``unsupported-scheme``, ``missing-tensor``, ``missing-codes``, ``missing-scale``, ``missing-key``,
            ``extra-tensor``, ``bad-tree`` and what corrections and dequantisation refuse.
    """
    rest = dict(stored)
    tensors = {name: _tensor(name, scheme, rest) for name, scheme in schemes.items()}
    if rest:
        raise Refused("extra-tensor", f"'m' does not say what {min(rest)!r} is ({len(rest)} such tensors)")
    return tensors


def _tensor(name: Any, scheme: Any, rest: dict[str, Array]) -> Float32:
    if not isinstance(name, str):
        raise Refused("bad-tree", f"'m' has a {type(name).__name__} among its names")
    match scheme:
        case str() if _KEPT.fullmatch(scheme):
            return to_float32(name, take(rest, name, "missing-tensor"))
        case str() if found := _GPTQ.fullmatch(scheme):
            return _corrected(name, rest, found["groups"], found["factors"])
        case {"type": str(kind), **more} if kind in _TYPES and not more:
            return _corrected(name, rest, None, None)
        case str() if scheme == GATE:
            codes = take(rest, f"{name}.gq", "missing-codes")
            return dequantise(name, codes, take(rest, f"{name}.gs", "missing-scale"))
        case str(words) | {"type": str(words)}:
            raise Refused("unsupported-scheme", f"{name!r} is stored by the scheme {words!r}")
    raise Refused("unsupported-scheme", f"the scheme of {name!r} is a {type(scheme).__name__}")


def _corrected(name: str, rest: dict[str, Array], groups: str | None, factors: str | None) -> Float32:
    codes = take(rest, f"{name}.q", "missing-codes")
    weight = dequantise(name, codes, take(rest, f"{name}.scale", "missing-scale"))
    if groups:
        column_groups.overwrite(name, weight, codes, rest)
    if factors:
        weight = low_rank.add(name, weight, rest, asymmetric=factors == "+lqer_asym")
    return weight


def split(
    tensors: Mapping[str, Entry], style: Literal["type", "gptq"] = "gptq"
) -> tuple[dict[str, Array], dict[str, Any]]:
    """``w`` and ``m`` of ``tensors``: the inverse of :func:`join`.

    Args:
        tensors: by name.
        style: ``"gptq"`` writes ``gptq (int6)`` and ``passthrough (float16)``; ``"type"``, which has no words for
            corrections and gates, ``{"type": "int6"}`` and ``passthrough``.
    """
    stored: dict[str, Array] = {}
    schemes: dict[str, Any] = {}
    for name, value in tensors.items():
        match value:
            case GateRows():
                stored |= {f"{name}.gq": value.codes, f"{name}.gs": value.scale}
                schemes[name] = GATE
            case Quantised():
                stored |= {f"{name}.q": value.codes, f"{name}.scale": value.scale}
                schemes[name] = f"gptq (int{value.bits})" if style == "gptq" else {"type": f"int{value.bits}"}
            case Corrected():
                inner, scheme = split({name: value.base})
                stored |= inner
                schemes[name] = scheme[name]
                if value.groups is not None:
                    stored |= value.groups.stored(name)
                    schemes[name] += f"+awqgrpint{value.groups.bits}"
                if value.low_rank is not None:
                    stored |= value.low_rank.stored(name)
                    schemes[name] += "+lqer_asym" if value.low_rank.asymmetric else "+lqer"
            case _:
                stored[name] = value
                schemes[name] = f"passthrough ({value.dtype})" if style == "gptq" else "passthrough"
    return stored, schemes
