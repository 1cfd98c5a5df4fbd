"""GPTQ: rounding columns one by one, each error made up for by the columns that follow."""

from __future__ import annotations

import torch
from torch import Tensor

from reference_model.quant.groups import Grouped, group_columns
from reference_model.quant.rows import Quantised, largest_level, round_to, sdclip_scale

_DAMPING = 0.01  # of the mean diagonal, added to it
_COLUMNS_AT_ONCE = 128  # later columns are corrected once per this many


def gptq(weight: Tensor, hessian: Tensor, bits: int, deviations: float) -> Quantised:
    """Quantise ``W`` so that ``tr((W - Wq) H (W - Wq)^T)`` is small (Frantar et al. 2023), rows clipped as by SDClip.

    Columns go by descending diagonal of H. Column j of weight w is rounded with its row's fixed scale; with U the upper
    Cholesky factor of the inverse of the damped H, ``e = (w - q s) / U_jj`` and ``e U_jk`` is taken from each later
    column k. A column whose input was always zero becomes zero.

    Args:
        weight: [rows, cols], any float dtype.
        hessian: ``sum x x^T`` over calibration inputs x, [cols, cols], as from
            :func:`reference_model.quant.hessians.collect_hessians`.
        bits: 2..8.
        deviations: k of :func:`reference_model.quant.rows.sdclip_scale`.

    Raises:
        ValueError: shapes that do not fit, or bits out of range.
    """
    stored_scale = sdclip_scale(weight, bits, deviations)
    steps = stored_scale.float()[:, None].expand(weight.shape)
    tops = torch.full((weight.size(1),), float(largest_level(bits)))
    return Quantised(_sweep(weight, hessian, steps, tops), stored_scale)


def _sweep(weight: Tensor, hessian: Tensor, steps: Tensor, tops: Tensor) -> Tensor:
    """Codes int8 [rows, cols]: column by column, each with its step [rows, cols] and its largest code [cols]."""
    rows, cols = weight.shape
    if hessian.shape != (cols, cols):
        raise ValueError(
            f"a weight of shape {(rows, cols)} needs a Hessian of {cols} x {cols}, got {tuple(hessian.shape)}"
        )
    order = hessian.diagonal().argsort(descending=True, stable=True)
    w, scale, top = weight.detach().float()[:, order].clone(), steps[:, order], tops[order].tolist()
    upper, dead = _inverse_factor(hessian[order][:, order])
    w[:, dead] = 0
    q = torch.empty_like(w)
    for start in range(0, cols, _COLUMNS_AT_ONCE):
        stop = min(start + _COLUMNS_AT_ONCE, cols)
        errors = torch.empty(rows, stop - start, device=w.device)
        for j in range(start, stop):
            q[:, j] = round_to(w[:, j], scale[:, j], int(top[j]))
            error = (w[:, j] - q[:, j] * scale[:, j]) / upper[j, j]
            w[:, j + 1 : stop] -= torch.outer(error, upper[j, j + 1 : stop])
            errors[:, j - start] = error
        w[:, stop:] -= errors @ upper[start:stop, stop:]
    return q[:, order.argsort()].to(torch.int8)


def gptq_grouped(
    weight: Tensor, hessian: Tensor, bits: int, deviations: float, starts: tuple[int, ...], size: int = 64
) -> Grouped:
    """:func:`gptq` with finer groups of columns in the same sweep: 8 bits in columns ``start .. start + size``.

    Raises:
        ValueError: as :func:`gptq`, or a group reaches past the last column.
    """
    finer = group_columns(starts, size, weight.size(1))
    scale, fine = sdclip_scale(weight, bits, deviations), sdclip_scale(weight, 8, deviations)
    steps = torch.where(finer, fine.float()[:, None], scale.float()[:, None])
    tops = torch.where(finer, float(largest_level(8)), float(largest_level(bits)))
    return Grouped(Quantised(_sweep(weight, hessian, steps, tops), scale), starts, size, fine)


def _inverse_factor(hessian: Tensor) -> tuple[Tensor, Tensor]:
    """``U`` with ``U^T U = (H + damping)^-1``, and which inputs were dead (boolean [cols])."""
    h = hessian.detach().float().clone()
    diagonal = h.diagonal()
    dead = diagonal == 0
    diagonal[dead] = 1
    diagonal += _DAMPING * diagonal.mean()
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(h))
    return torch.linalg.cholesky(inverse, upper=True), dead
