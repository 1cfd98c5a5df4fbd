"""FlashAttention 2 and 3 by ``scaled_dot_product_attention``: the same mask, written out."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

Window = tuple[int | None, int | None]
_UNBOUNDED: Window = (-1, -1)


def _mask(queries: int, keys: int, causal: bool, window: Window) -> torch.Tensor | None:
    """Which key each query sees, bool [queries, keys]; the last query is aligned with the last key."""
    left, right = window
    if not causal and left in {None, -1} and right in {None, -1}:
        return None
    i = torch.arange(queries)[:, None] + (keys - queries)
    j = torch.arange(keys)[None]
    mask = torch.ones(queries, keys, dtype=torch.bool)
    if causal:
        mask &= j <= i
    if left is not None and left >= 0:
        mask &= j >= i - left
    if right is not None and right >= 0:
        mask &= j <= i + right
    return mask


def attend(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, causal: bool, window: Window, scale: float | None
) -> torch.Tensor:
    """Attention of ``q`` [B, T, H, D] over ``k``, ``v`` [B, S, Hk, D]; Hk divides H, groups of heads share keys."""
    groups = q.shape[2] // k.shape[2]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 2), v.repeat_interleave(groups, 2)
    query, key, value = (x.transpose(1, 2) for x in (q, k, v))
    mask = _mask(q.shape[1], k.shape[1], causal, window)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale).transpose(1, 2).to(q.dtype)


def flash_attn_func(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *positional: Any,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: Window = _UNBOUNDED,
    **_: Any,
) -> torch.Tensor:
    """Versions 2 and 3 order what follows ``v`` differently; the only bool among it is ``causal``."""
    causal = next((value for value in positional if isinstance(value, bool)), causal)
    return attend(q, k, v, causal=causal, window=window_size, scale=softmax_scale)


def flash_attn_varlen_func(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    cu_seqlens_q: torch.Tensor,
    cu_seqlens_k: torch.Tensor | None = None,
    *_: Any,
    softmax_scale: float | None = None,
    causal: bool = False,
    window_size: Window = _UNBOUNDED,
    **__: Any,
) -> torch.Tensor:
    """Sequences laid end to end; what lies behind the last of them is padding and comes out as zeros."""
    shape = q.shape
    q, k, v = (x.reshape(-1, *x.shape[-2:]) for x in (q, k, v))
    ends_q = cu_seqlens_q.tolist()
    ends_k = ends_q if cu_seqlens_k is None else cu_seqlens_k.tolist()
    out = torch.zeros_like(q)
    pieces = []
    for at in range(len(ends_q) - 1):
        rows, columns = slice(ends_q[at], ends_q[at + 1]), slice(ends_k[at], ends_k[at + 1])
        if rows.stop > rows.start:
            part = attend(
                q[None, rows],
                k[None, columns],
                v[None, columns],
                causal=causal,
                window=window_size,
                scale=softmax_scale,
            )
            pieces.append(part[0])
    scored = torch.cat(pieces) if pieces else out[:0]
    return torch.cat([scored, out[len(scored) :]]).reshape(shape)


def _module(name: str, **contents: Any) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__dict__.update(contents)
    sys.modules[name] = module
    return module


def install() -> None:
    """Put the packages that provide FlashAttention under their names."""
    functions = {
        "flash_attn_func": flash_attn_func,
        "flash_attn_varlen_func": flash_attn_varlen_func,
        "__version__": "2.7.0",
    }
    interface = _module("flash_attn_interface", **functions)
    for package in ("flash_attn", "hopper"):
        _module(f"{package}.flash_attn_interface", **functions)
        _module(package, **functions, __path__=[], flash_attn_interface=interface)
    _module("kernels", get_kernel=lambda *_, **__: interface)
