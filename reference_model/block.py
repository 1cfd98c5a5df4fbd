"""One transformer block: attention and feed-forward layer around a residual stream."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

import torch
from torch import Tensor, nn

from reference_model.attention import Attention
from reference_model.config import GPTConfig
from reference_model.layers import Linear, rms_norm
from reference_model.rotary import Rotary


@dataclass(frozen=True, slots=True)
class Context:
    """What every block of one forward pass may read.

    Attributes:
        x0: the embedded input [B, S, D].
        rotary: rotary tables.
        mask: attention mask as in :meth:`Attention.forward`, or None.
        extra_values: value embedding by block index.
        first_value: V0, once the first block has run in a model with a value residual.
    """

    x0: Tensor
    rotary: Rotary
    mask: Tensor | None
    extra_values: dict[int, Tensor]
    first_value: Tensor | None = None

    def with_first_value(self, value: Tensor) -> Context:
        """This context, with V0 if it had none."""
        return self if self.first_value is not None else replace(self, first_value=value)


class MLP(nn.Module):
    """``W_proj phi(W_fc x)^2``, phi a leaky relu."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.slope = config.mlp_slope
        self.fc = Linear(config.model_dim, config.mlp_hidden)
        self.proj = Linear(config.mlp_hidden, config.model_dim)

    def forward(self, x: Tensor) -> Tensor:
        """[B, S, D] -> [B, S, D]."""
        out: Tensor = self.proj(nn.functional.leaky_relu(self.fc(x), self.slope).square())
        return out


class Block(nn.Module):
    """A physical block. Its parts are public because lanes use them one by one."""

    def __init__(self, config: GPTConfig, index: int) -> None:
        super().__init__()
        self.index = index
        self.eps = config.norm_eps
        self.input_scale = 1 / sqrt(index + 1) if config.ln_scale else 1.0
        self.shared_residual = config.parallel_mode == "shared" and index >= (config.parallel_start or 0)
        D = config.model_dim
        self.attn_scale = nn.Parameter(torch.empty(D))
        self.mlp_scale = nn.Parameter(torch.empty(D))
        self.resid_mix = nn.Parameter(torch.empty(2, D))
        self.attn = Attention(config, index)
        self.mlp = MLP(config)
        self.block_gate = Linear(D, 1, bias=True) if config.block_gate else None

    def forward(self, x: Tensor, context: Context) -> tuple[Tensor, Context]:
        """The block on one residual stream [B, S, D]: its output, and the context for the next block."""
        z = self.mix(x, context.x0)
        attended, context = self.attend(z, context)
        out = z + attended
        out = out + self.feed(z if self.shared_residual else out)
        if self.block_gate is not None:
            out = z + torch.sigmoid(self.block_gate(z.detach())) * (out - z)
        return out, context

    def mix(self, x: Tensor, x0: Tensor) -> Tensor:
        """``z = m0 x + m1 x0``, per channel."""
        weights = self.resid_mix.to(x.dtype)
        return weights[0] * x + weights[1] * x0

    def attend(self, z: Tensor, context: Context) -> tuple[Tensor, Context]:
        """``attn_scale * Attention(c_l rms(z))``, and the context that knows V0."""
        n = rms_norm(z, self.eps) * self.input_scale
        extra = context.extra_values.get(self.index)
        out, value = self.attn(n, context.rotary, context.mask, extra, context.first_value)
        return self.attn_scale.to(z.dtype) * out, context.with_first_value(value)

    def feed(self, x: Tensor) -> Tensor:
        """``mlp_scale * MLP(c_l rms(x))``."""
        out: Tensor = self.mlp(rms_norm(x, self.eps) * self.input_scale)
        return self.mlp_scale.to(x.dtype) * out
