"""From weights to the entries of an artifact: every matrix rounded as the recipe and the measures say."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from evaluator.artifact.column_groups import ColumnGroups
from evaluator.artifact.entries import Corrected, Entry, GateRows
from evaluator.artifact.low_rank import LowRank
from evaluator.artifact.numerics import Array, Quantised
from evaluator.packing.calibration import Calibration
from evaluator.packing.cap import NARROW_BITS, Measures
from evaluator.packing.checkpoint import Checkpoint
from evaluator.packing.recipes import Recipe, Rounding, block_of
from evaluator.refusal import Refused
from reference_model import quant

GROUP_COLUMNS = 64
FINE_BITS = 8
_GATES = ("attn.gate_window.weight", "attn.gate_dense.weight")
_GATE_ELEMENTS = range(32, 8193)
"""Of #1736: gate matrices of this many elements are stored in int8."""


class Assembly:
    """The entries of one checkpoint under a recipe; each matrix is rounded once per way.

    Args:
        checkpoint: the weights.
        recipe: the kind of artifact.
        calibration: what training tokens said, for a recipe that is calibrated.

    Raises:
        Refused: ``scale-overflow``: a row is too large for an fp16 scale (from :meth:`entries`).
    """

    def __init__(self, checkpoint: Checkpoint, recipe: Recipe, calibration: Calibration | None) -> None:
        self._recipe, self._calibration = recipe, calibration
        self._rounded: dict[tuple[str, Rounding, float], quant.Grouped] = {}
        self._weights = {name: torch.from_numpy(values) for name, values in checkpoint.weights.items()}
        self._roundings = {
            name: rounding
            for name, weight in self._weights.items()
            if (rounding := recipe.rounding(name, tuple(weight.shape)))
        }
        self._groups = self._finer_groups()

    def entries(self, measures: Measures) -> dict[str, Entry]:
        """Every tensor as it will be stored, by canonical name."""
        bases = {name: self._round(name, measures) for name in self._roundings}
        factors = self._corrections(bases)
        entries: dict[str, Entry] = {}
        for name, weight in self._weights.items():
            if name not in bases:
                entries[name] = self._kept(name, weight)
                continue
            base = _stored(name, bases[name].base, self._rounding(name, measures).bits)
            finer = _stored_groups(bases[name]) if bases[name].starts else None
            correction = factors.get(name)
            entries[name] = Corrected(base, finer, correction) if finer or correction else base
        return entries

    def _corrections(self, bases: dict[str, quant.Grouped]) -> dict[str, LowRank]:
        """Low-rank factors for the matrices that rounding changed most, by the Frobenius norm."""
        if not self._recipe.factored:
            return {}
        errors = {name: self._weights[name] - base.dequantise() for name, base in bases.items()}
        largest = sorted(errors, key=lambda name: -float(errors[name].norm()))[: self._recipe.factored]
        return {name: _stored_factors(quant.low_rank(errors[name])) for name in largest}

    def _rounding(self, name: str, measures: Measures) -> Rounding:
        rounding = self._roundings[name]
        return rounding.narrowed(NARROW_BITS) if block_of(name) in measures.narrowed else rounding

    def _round(self, name: str, measures: Measures) -> quant.Grouped:
        """The matrix in codes; without finer groups where it has none."""
        rounding = self._rounding(name, measures)
        key = (name, rounding, measures.prune)
        if key not in self._rounded:
            weight = quant.prune_magnitude(self._weights[name], measures.prune)
            hessian = self._calibration.hessians.get(name) if self._calibration else None
            self._rounded[key] = _round(weight, rounding, hessian, self._groups.get(name, ()), measures.prune)
        return self._rounded[key]

    def _finer_groups(self) -> dict[str, tuple[int, ...]]:
        if self._calibration is None or not self._recipe.finer_groups:
            return {}
        magnitudes = self._calibration.magnitudes
        competing = {
            name: self._weights[name]
            for name, rounding in self._roundings.items()
            if rounding.kind == "gptq" and rounding.bits < FINE_BITS and name in magnitudes
        }
        return quant.salient_groups(competing, magnitudes, GROUP_COLUMNS, self._recipe.finer_groups)

    def _kept(self, name: str, weight: Tensor) -> Array | GateRows:
        if self._recipe.gates and name.endswith(_GATES) and weight.numel() in _GATE_ELEMENTS:
            return _gate(weight)
        values: Array = weight.numpy()
        return values if self._recipe.kept == "float32" else values.astype(np.float16)


def _round(
    weight: Tensor, rounding: Rounding, hessian: Tensor | None, groups: tuple[int, ...], prune: float
) -> quant.Grouped:
    if rounding.kind == "gptq" and hessian is not None:
        rounded = quant.gptq_grouped(weight, hessian, rounding.bits, rounding.deviations, groups, GROUP_COLUMNS)
        if prune:  # GPTQ moves weights while it rounds; what was zeroed shall stay zero, or it does not compress
            rounded.base.q[weight == 0] = 0
        return rounded
    match rounding.kind:
        case "int8":
            base = quant.quantise_rows_int8(weight)
        case "rows":
            base = quant.quantise_rows(weight, rounding.bits)
        case "searched":
            base = quant.quantise_rows_searched(weight, 2 ** (rounding.bits - 1) - 1)
        case "sdclip" | "gptq":  # a table that is looked up, not multiplied, has no Hessian
            base = quant.quantise_sdclip(weight, rounding.bits, rounding.deviations)
    return quant.Grouped(base, (), GROUP_COLUMNS, base.scale)


def _stored(name: str, base: quant.Quantised, bits: int) -> Quantised:
    scale = base.scale.numpy()
    if not np.isfinite(scale).all():
        raise Refused("scale-overflow", f"a row of {name!r} is too large for an fp16 scale")
    return Quantised(base.q.numpy(), scale, bits)


def _stored_groups(grouped: quant.Grouped) -> ColumnGroups:
    return ColumnGroups(grouped.starts, grouped.size, grouped.scale.numpy(), FINE_BITS)


def _stored_factors(factors: quant.LowRank) -> LowRank:
    left, left_scale = factors.left.numpy(), factors.left_scale.numpy()
    return LowRank(left, left_scale, factors.right.numpy(), factors.right_scale.numpy(), factors.asymmetric)


def _gate(weight: Tensor) -> GateRows:
    """``s = max|w_row| / 127`` in fp16, ``q = round(w / s)`` (#1736)."""
    scale = (weight.abs().amax(dim=1) / 127).clamp_min(1e-10).to(torch.float16)
    steps = scale.float()[:, None]
    codes = torch.where(steps > 0, weight / steps.clamp_min(1e-30), 0.0).round().clamp(-127, 127).to(torch.int8)
    return GateRows(codes.numpy(), scale.numpy())
