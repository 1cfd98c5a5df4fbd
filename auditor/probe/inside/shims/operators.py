"""Operators in CUDA that submissions build before they run: the products that their names say, in torch.

Without them a script stops in its first step of training; what they compute there decides no question about a score.
"""

from __future__ import annotations

from typing import Any

import torch

_LIBRARIES: list[Any] = []
"""Kept: an operator goes with the library that defined it."""


def gemm_mul(go: torch.Tensor, weight: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """``(go @ weight) * gradient``, [n, a] @ [a, b] times [n, b]: the backward pass of a fused layer."""
    return (go @ weight) * gradient


def install() -> None:
    """Define ``cutlass_evt::gemm_mul``."""
    untyped: Any = torch.library
    library = untyped.Library("cutlass_evt", "DEF")
    library.define("gemm_mul(Tensor go, Tensor down_w, Tensor act_grad) -> Tensor")
    library.impl("gemm_mul", gemm_mul, "CompositeExplicitAutograd")
    _LIBRARIES.append(library)
