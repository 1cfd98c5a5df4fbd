"""Magnitude pruning: small weights become zeros, which compress well."""

from __future__ import annotations

from torch import Tensor

_QUANTILE_LIMIT = 1 << 24  # torch.quantile takes no more elements


def prune_magnitude(weight: Tensor, fraction: float) -> Tensor:
    """``weight`` with everything below the ``fraction`` quantile of ``|w|`` set to zero (#779: 0.08 of each matrix).

    Raises:
        ValueError: ``fraction`` is not in [0, 1), or the tensor is larger than a quantile is defined for.
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction must be in [0, 1), got {fraction}")
    if weight.numel() > _QUANTILE_LIMIT:
        raise ValueError(f"a tensor of {weight.numel():,} elements is too large to prune")
    magnitude = weight.detach().float().abs()
    if fraction == 0 or not weight.numel():
        return weight.detach().clone()
    return weight.detach().masked_fill(magnitude < magnitude.quantile(fraction), 0.0)
