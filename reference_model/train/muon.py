"""Muon: momentum whose matrix-shaped updates are orthogonalised.

torch has an optimiser of this name; it iterates in bfloat16, one matrix at a time, which a CPU does slowly, and does
not normalise gradient rows.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

# Keller Jordan's quintic: its fixed points are not exactly 1, but singular values reach about 1 in five steps.
_NS_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_NS_STEPS = 5
_EPS = 1e-7


def orthogonalise(matrices: Tensor) -> Tensor:
    """Approximately ``U V^T`` of each matrix ``U S V^T``; [n, rows, cols] -> same, by five Newton-Schulz steps."""
    a, b, c = _NS_COEFFICIENTS
    tall = matrices.size(-2) > matrices.size(-1)
    x: Tensor = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + _EPS)
    for _ in range(_NS_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon:
    """Nesterov momentum on 2-D parameters, orthogonalised, with decoupled weight decay.

    One step: ``m <- beta m + (1-beta) g``, ``u = orthogonalise((1-beta) g + beta m) sqrt(max(1, rows/cols))``,
    ``W <- (1 - lr decay) W - lr u``; g's rows are scaled to unit length first if ``row_normalise``. Matrices of one
    shape go through the iteration together.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, decay: float, row_normalise: bool) -> None:
        self.decay = decay
        self.row_normalise = row_normalise
        self.groups: dict[torch.Size, list[nn.Parameter]] = {}
        for parameter in parameters:
            self.groups.setdefault(parameter.shape, []).append(parameter)
        self.momenta = {
            shape: torch.zeros(len(group), *shape, device=group[0].device) for shape, group in self.groups.items()
        }

    @torch.no_grad()
    def step(self, lr: float, momentum: float) -> None:
        """Update all parameters from their gradients; one without a gradient counts as having a zero one."""
        for shape, group in self.groups.items():
            gradient = torch.stack([p.new_zeros(p.shape) if p.grad is None else p.grad for p in group])
            if self.row_normalise:
                gradient = gradient / (gradient.norm(dim=-1, keepdim=True) + _EPS)
            average = self.momenta[shape].lerp_(gradient, 1 - momentum)
            update = orthogonalise(gradient.lerp(average, momentum)) * max(1.0, shape[0] / shape[1]) ** 0.5
            for parameter, change in zip(group, update, strict=True):
                parameter.mul_(1 - lr * self.decay).sub_(change, alpha=lr)
