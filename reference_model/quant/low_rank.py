"""LQER: the largest part of what quantisation lost, as the product of two small quantised factors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_LEFT_LEVEL = 1.5  # largest |A| over its scale: codes -2..1
_RIGHT_LEVEL = 7.5  # largest |B| of a group over its scale: codes -8..7
_SMALLEST = 1e-10


@dataclass(frozen=True, slots=True)
class LowRank:
    """Factors ``A`` [rows, r] and ``B`` [r, cols] in integers.

    Attributes:
        left, right: int8 codes.
        left_scale, right_scale: float16; one and one per run of consecutive elements of the flattened B (asymmetric),
            or one per row of either (symmetric).
        asymmetric: which.
    """

    left: Tensor
    left_scale: Tensor
    right: Tensor
    right_scale: Tensor
    asymmetric: bool

    def dequantise(self) -> Tensor:
        """``A B``, float32 [rows, cols]."""
        if self.asymmetric:
            grouped = self.right.reshape(self.right_scale.numel(), -1).float() * self.right_scale.float()[:, None]
            return (self.left.float() * self.left_scale.float()) @ grouped.reshape(self.right.shape)
        a = self.left.float() * self.left_scale.float()[:, None]
        return a @ (self.right.float() * self.right_scale.float()[:, None])


def low_rank(error: Tensor, rank: int = 4, group: int = 64, symmetric_bits: int = 4) -> LowRank:
    """Quantised factors of the best approximation of ``error`` of rank ``rank`` (Zhang et al. 2024, as in #1797).

    ``A = U_r S_r``, ``B = V_r^T``. Asymmetric where groups of ``group`` divide B: A in 2 bits with one scale, B in 4
    bits with one per group. Elsewhere both are rounded per row to ``symmetric_bits`` bits.

    Args:
        error: ``W - dequantise(W)``, float [rows, cols].
        rank: at most the smaller side is used.
        group: elements of the flattened B that share a scale.
        symmetric_bits: 2..8.
    """
    u, s, vh = torch.linalg.svd(error.detach().float(), full_matrices=False)
    r = min(rank, s.numel())
    a, b = u[:, :r] * s[:r], vh[:r]
    if b.numel() % group == 0:
        left_scale = (a.abs().amax().clamp_min(_SMALLEST) / _LEFT_LEVEL).to(torch.float16)
        runs = b.reshape(-1, group)
        right_scale = (runs.abs().amax(dim=1).clamp_min(_SMALLEST) / _RIGHT_LEVEL).to(torch.float16)
        left = _codes(a, left_scale, -2, 1)
        right = _codes(runs, right_scale[:, None], -8, 7).reshape(b.shape)
        return LowRank(left, left_scale, right, right_scale, asymmetric=True)
    top = 2 ** (symmetric_bits - 1) - 1
    left_scale, right_scale = ((m.abs().amax(dim=1).clamp_min(_SMALLEST) / top).to(torch.float16) for m in (a, b))
    left, right = _codes(a, left_scale[:, None], -top, top), _codes(b, right_scale[:, None], -top, top)
    return LowRank(left, left_scale, right, right_scale, asymmetric=False)


def _codes(values: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
    steps = scale.float()
    safe = torch.where(steps > 0, steps, torch.ones_like(steps))
    return (values / safe).round().clamp(low, high).to(torch.int8)
