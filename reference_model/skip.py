"""What a decoder step does with the encoder output it pops."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference_model.config import GPTConfig


class Skip(nn.Module):
    """``x + w u``, or gated ``g x + (1-g) w u`` with g = sigmoid(gate); one row of w and gate per decoder step."""

    def __init__(self, config: GPTConfig, num_skips: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_skips, config.model_dim))
        gated = config.skip_mode == "gated"
        self.gate = nn.Parameter(torch.empty(num_skips, config.model_dim)) if gated else None

    def forward(self, step: int, x: Tensor, u: Tensor) -> Tensor:
        """[B, S, D] and the popped [B, S, D] -> [B, S, D]."""
        scaled = self.weight[step].to(x.dtype) * u
        if self.gate is None:
            return x + scaled
        return torch.lerp(scaled, x, torch.sigmoid(self.gate[step].to(x.dtype)))
