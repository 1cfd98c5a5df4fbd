"""Parallel blocks on two residual streams, one for attention and one for the feed-forward layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference_model.block import Block, Context
from reference_model.config import GPTConfig


class Lanes(nn.Module):
    """How blocks from ``parallel_start`` on read and write the attention lane ``a`` and the feed-forward lane ``m``.

    With ``z = mix(a)``, A = attention on z, M = feed-forward on m, r = z if ``parallel_mix_in_residual``, else a:

    * ``lanes``: ``a <- r + A``, ``m <- m + M``;
    * ``lanes_matrix``: ``a <- R0 r + P00 A + P10 M``, ``m <- R1 m + P01 A + P11 M``, with R and P of the block.
    """

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.mix_in_residual = config.parallel_mix_in_residual
        self.merge_rule = config.parallel_merge
        self.merge = nn.Parameter(torch.empty(())) if config.parallel_merge == "lambda" else None
        self.exchange = config.parallel_mode == "lanes_matrix"
        if self.exchange:
            self.post = nn.Parameter(torch.empty(config.num_layers, 2, 2))
            self.resid = nn.Parameter(torch.empty(config.num_layers, 2))

    def forward(self, block: Block, a: Tensor, m: Tensor, context: Context) -> tuple[Tensor, Tensor, Context]:
        """Both lanes [B, S, D] after the block, and the context for the next."""
        z = block.mix(a, context.x0)
        attended, context = block.attend(z, context)
        fed = block.feed(m)
        residual = z if self.mix_in_residual else a
        if not self.exchange:
            return residual + attended, m + fed, context
        post, resid = self.post[block.index].to(a.dtype), self.resid[block.index].to(a.dtype)
        next_a = resid[0] * residual + post[0, 0] * attended + post[1, 0] * fed
        next_m = resid[1] * m + post[0, 1] * attended + post[1, 1] * fed
        return next_a, next_m, context

    def merged(self, a: Tensor, m: Tensor) -> Tensor:
        """One stream [B, S, D] again."""
        if self.merge is not None:
            weight = self.merge.to(a.dtype)
            return weight * a + (1 - weight) * m
        match self.merge_rule:
            case "attn":
                return a
            case "mlp":
                return m
            case _:
                return 0.5 * (a + m)
