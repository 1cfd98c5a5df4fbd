"""Rotary position embedding, half-split and partial."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reference_model.config import GPTConfig


@dataclass(frozen=True, slots=True)
class Rotary:
    """Cosines and sines of ``p f_j``, each [S, 1, r/2] in the activations' dtype.

    Made anew for each forward pass: the base depends on the length (NTK rescaling), and a table that is never
    kept can never be stale.
    """

    cos: Tensor
    sin: Tensor

    @classmethod
    def of(cls, config: GPTConfig, length: int, like: Tensor) -> Rotary:
        """Tables for positions ``0 .. length - 1``, on the device and in the dtype of ``like``, from float32."""
        exponents = torch.arange(0, config.rope_dims, 2, dtype=torch.float32, device=like.device) / config.rope_dims
        frequencies = 1.0 / ntk_base(config, length) ** exponents
        positions = torch.arange(length, dtype=torch.float32, device=like.device)
        angles = torch.outer(positions, frequencies)[:, None, :]
        return cls(cos=angles.cos().to(like.dtype), sin=angles.sin().to(like.dtype))

    def rotate(self, x: Tensor) -> Tensor:
        """Turn ``(u_j, u_{j+r/2})`` by the angle of its position; x is [B, S, heads, d], dimensions from r on pass."""
        half = self.cos.size(-1)
        a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
        return torch.cat((a * self.cos + b * self.sin, b * self.cos - a * self.sin, rest), dim=-1)


def ntk_base(config: GPTConfig, length: int) -> float:
    """The rotary base for ``length`` = n tokens: ``B (n/t)^(r/(r-2))`` beyond the training length t, else B."""
    trained = config.rope_ntk_train_len
    if trained is None or length <= trained:
        return config.rope_base
    return float(config.rope_base * (length / trained) ** (config.rope_dims / (config.rope_dims - 2)))
