"""Causal self-attention with the contest's options."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference_model.config import GPTConfig
from reference_model.layers import Linear, rms_norm
from reference_model.rotary import Rotary


class Attention(nn.Module):
    """Grouped-query attention with normed and rotated queries and keys, and a learned gain per query head."""

    def __init__(self, config: GPTConfig, index: int) -> None:
        super().__init__()
        self.config = config
        self.index = index
        self.exclusive = index >= config.num_layers - config.xsa_last_n
        D, H = config.model_dim, config.num_heads
        self.q_gain = nn.Parameter(torch.empty(H))
        if config.value_residual == "pair":
            self.vr_pair = nn.Parameter(torch.empty(2))
        elif config.value_residual == "sigmoid_add":
            self.vr_scalar = nn.Parameter(torch.empty(1))
        elif config.value_residual == "add" and index:
            self.vr_scalar = nn.Parameter(torch.empty(()))
        self.c_q = Linear(D, D)
        self.c_k = Linear(D, config.kv_dim)
        self.c_v = Linear(D, config.kv_dim)
        self.proj = Linear(D, D)
        if config.attn_gate in ("dense", "dense_bias"):
            self.gate_dense = Linear(D, H, bias=config.attn_gate == "dense_bias")
        elif config.attn_gate != "none":
            self.gate_window = Linear(config.attn_gate_window, H)

    def forward(
        self, n: Tensor, rotary: Rotary, mask: Tensor | None, extra_value: Tensor | None, first_value: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            n: normed input [B, S, D].
            rotary: tables for S positions.
            mask: boolean [B, 1, S, S], true where a query (row) may see a key; None for plain causality.
            extra_value: value embedding [B, S, Hk d] to add, or None.
            first_value: V0 [B, S, Hk, d], or None in the first block run.

        Returns:
            the output [B, S, D], and this layer's values [B, S, Hk, d] before the value residual.
        """
        B, S, D = n.shape
        H, Hk, d = self.config.num_heads, self.config.num_kv_heads, self.config.head_dim
        eps = self.config.norm_eps
        q = rotary.rotate(rms_norm(self.c_q(n).view(B, S, H, d), eps)) * self.q_gain.to(n.dtype)[:, None]
        k = rotary.rotate(rms_norm(self.c_k(n).view(B, S, Hk, d), eps))
        flat = self.c_v(n)
        raw = (flat if extra_value is None else flat + extra_value).view(B, S, Hk, d)
        v = raw if first_value is None else self.with_residual(raw, first_value)
        y = nn.functional.scaled_dot_product_attention(
            q.transpose(1, 2),
            k.transpose(1, 2),
            v.transpose(1, 2),
            attn_mask=mask,
            is_causal=mask is None,
            enable_gqa=Hk != H,
        ).transpose(1, 2)
        if self.exclusive:
            y = without_own_value(y, v)
        gate = self.output_gate(n)
        if gate is not None:
            y = y * gate.unsqueeze(-1)
        return self.proj(y.reshape(B, S, D)), raw

    def with_residual(self, v: Tensor, first: Tensor) -> Tensor:
        """Values [B, S, Hk, d] mixed with those of the first block run, as the configuration says."""
        match self.config.value_residual:
            case "pair":
                weights = self.vr_pair.to(v.dtype)
                return weights[0] * first + weights[1] * v
            case "add":
                return v + self.vr_scalar.to(v.dtype) * first if self.index else v
            case "sigmoid_add":
                return v + torch.sigmoid(self.vr_scalar.to(v.dtype)) * first
            case "none":
                return v

    def output_gate(self, n: Tensor) -> Tensor | None:
        """Factor on each head's output, [B, S, H], of the normed input [B, S, D]; None without a gate."""
        match self.config.attn_gate:
            case "dense" | "dense_bias":
                return torch.sigmoid(self.gate_dense(n))
            case "window":
                narrow = n[..., : self.config.attn_gate_window]
                return torch.sigmoid(self.config.attn_gate_mult * self.gate_window(narrow))
            case "out2":
                return 2 * torch.sigmoid(self.gate_window(n[..., : self.config.attn_gate_window]))
            case "none":
                return None


def without_own_value(y: Tensor, v: Tensor) -> Tensor:
    """Exclusive self-attention: ``y - (y . vhat) vhat`` with the same position's own value vector.

    Args:
        y: attention output [B, S, H, d].
        v: values that attention used [B, S, Hk, d]; head h uses ``v[..., h // (H / Hk), :]``.
    """
    B, S, H, d = y.shape
    Hk = v.size(2)
    grouped = y.view(B, S, Hk, H // Hk, d)
    unit = nn.functional.normalize(v, dim=-1).unsqueeze(3)
    return (grouped - (grouped * unit).sum(dim=-1, keepdim=True) * unit).view(B, S, H, d)
