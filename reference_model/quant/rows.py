"""Rounding a matrix to integers with one scale per row.

Every quantiser gives a :class:`Quantised`; one formula undoes all of them: ``W = q * scale[row]``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# Of |w| in a row, the quantile at which the contest's int8 scheme clips.
INT8_CLIP_QUANTILE = 0.9999984
# Where the search for a row clip looks; 1 is the row's maximum.
CLIP_QUANTILES = (0.9990, 0.9995, 0.9999, 0.99999, 1.0)


@dataclass(frozen=True, slots=True)
class Quantised:
    """A matrix in integers.

    Attributes:
        q: int8 [rows, cols], also for fewer than 8 bits.
        scale: float16 [rows].
    """

    q: Tensor
    scale: Tensor

    def dequantise(self) -> Tensor:
        """``q * scale[row]``, float32 [rows, cols]."""
        return self.q.float() * self.scale.float()[:, None]


def quantise_rows_int8(weight: Tensor) -> Quantised:
    """Int8 with a clip by quantile (the contest's P8, used for embeddings and by the baseline for all).

    ``c = quantile(|w_row|, 0.9999984)``, ``s = max(c / 127, 1 / 127)``,
    ``q = clamp(round(clip(w, -c, c) / s), -127, 127)``; s is stored as float16 after use. A row whose largest weight is
    below 1 still gets step 1/127.
    """
    w = _matrix(weight)
    clip = torch.quantile(w.abs(), INT8_CLIP_QUANTILE, dim=1, keepdim=True)
    scale = (clip / 127).clamp_min(1 / 127)
    q = (w.clamp(-clip, clip) / scale).round().clamp(-127, 127)
    return Quantised(q.to(torch.int8), scale[:, 0].to(torch.float16))


def quantise_rows(weight: Tensor, bits: int) -> Quantised:
    """Fewer than 8 bits with the row's maximum as its clip (the contest's Pn: int6, int5).

    With ``m = 2^(bits-1) - 1``: ``s = max(max|w_row| / m, 1 / m)``, rounded to float16 before use,
    ``q = clamp(round(w / s), -m - 1, m)``.
    """
    w = _matrix(weight)
    top = largest_level(bits)
    scale = (w.abs().amax(dim=1) / top).clamp_min(1 / top).to(torch.float16)
    q = (w / scale.float()[:, None]).round().clamp(-top - 1, top)
    return Quantised(q.to(torch.int8), scale)


def quantise_rows_searched(weight: Tensor, top: int) -> Quantised:
    """Row clips at that one of five quantiles whose squared error over the whole matrix is least (#549, #779).

    ``s = max(quantile(|w_row|) / top, 1 / top)``, rounded to float16 before use,
    ``q = clamp(round(w / s), -top, top)``.

    Args:
        weight: [rows, cols].
        top: largest code: 31 (#549), 15 (#779, which calls it int6).
    """
    w = _matrix(weight)
    magnitude = w.abs()
    candidates = []
    for quantile in CLIP_QUANTILES:
        clip = magnitude.amax(dim=1) if quantile == 1 else torch.quantile(magnitude, quantile, dim=1)
        scale = (clip / top).clamp_min(1 / top).to(torch.float16)
        q = (w / scale.float()[:, None]).round().clamp(-top, top)
        candidates.append(Quantised(q.to(torch.int8), scale))
    errors = [float((w - candidate.dequantise()).square().mean()) for candidate in candidates]
    return candidates[errors.index(min(errors))]


def quantise_sdclip(weight: Tensor, bits: int, deviations: float) -> Quantised:
    """Plain rounding with the scale of :func:`sdclip_scale`: ``q = clamp(round(w / s), -m, m)``."""
    w = _matrix(weight)
    top = largest_level(bits)
    scale = sdclip_scale(w, bits, deviations)
    return Quantised(round_to(w, scale.float()[:, None], top).to(torch.int8), scale)


def sdclip_scale(weight: Tensor, bits: int, deviations: float) -> Tensor:
    """``s = k std(w_row) / m``, ``m = 2^(bits-1) - 1``; float16 [rows].

    The deviation is the unbiased one, with a floor of 1e-10 for s. The clip lies at
    k = ``deviations`` standard deviations (#1477: 12.85 for 6 bits, 20 for 8). A dead row's scale is 0 in float16.
    """
    return (_matrix(weight).std(dim=1) * deviations / largest_level(bits)).clamp_min(1e-10).to(torch.float16)


def round_to(w: Tensor, scale: Tensor, top: int) -> Tensor:
    """``clamp(round(w / scale), -top, top)``, and 0 where the scale is 0; float32."""
    safe = torch.where(scale > 0, scale, torch.ones_like(scale))
    return torch.where(scale > 0, (w / safe).round().clamp(-top, top), torch.zeros_like(w))


def largest_level(bits: int) -> int:
    """``m = 2^(bits-1) - 1``.

    Raises:
        ValueError: bits outside 2..8, which is what int8 holds.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"bits must be in 2..8, got {bits}")
    return int(2 ** (bits - 1) - 1)


def _matrix(weight: Tensor) -> Tensor:
    if weight.ndim != 2:
        raise ValueError(f"a matrix is quantised by rows; got shape {tuple(weight.shape)}")
    return weight.detach().float()
