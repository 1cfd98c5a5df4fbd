"""The elementary layers: linear maps, embeddings, and the norm."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Linear(nn.Module):
    """``x W^T (+ b)``, parameters cast to the activations' dtype at use, so that they may be kept in float32.

    Uninitialised: :func:`reference_model.init.initialise` or a state dict fills it. (``torch.nn.Linear`` would draw
    its start from the global random number generator.)
    """

    def __init__(self, in_features: int, out_features: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.empty(out_features)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] -> [..., out_features]."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return nn.functional.linear(x, self.weight.to(x.dtype), bias)


class Embedding(nn.Module):
    """A table of rows, uninitialised. The dtype of the token embedding decides that of all activations."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width))

    def forward(self, index: Tensor) -> Tensor:
        """int64 [...] -> [..., width]."""
        return nn.functional.embedding(index, self.weight)


def rms_norm(x: Tensor, eps: float) -> Tensor:
    """``x / sqrt(mean(x^2) + eps)`` over the last dimension, in float32, returned in x's dtype."""
    return nn.functional.rms_norm(x.float(), (x.size(-1),), eps=eps).to(x.dtype)
