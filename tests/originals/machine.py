"""What published scripts need of a machine with GPUs, for a CPU: in a process of their own, never in the tests'.

Compilation and autocast do nothing, FlashAttention is what it computes, Triton is a name.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import io
import sys
import types
from typing import Any

import torch
import torch._dynamo  # torch's optimisers import it, and it looks for the real Triton: before there is a stand-in

_ABSENT = (
    "flash_attn",
    "flash_attn_interface",
    "triton",
    "triton.language",
    "triton.tools",
    "triton.tools.tensor_descriptor",
)


class Anything(types.ModuleType):
    """A module, class or decorator that is never really used on this path."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything(name)

    def __call__(self, *args: Any, **_: Any) -> Any:
        return args[0] if args and callable(args[0]) else Anything("result")


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool = False, **_: Any) -> torch.Tensor:
    """What flash_attn_func computes, for [B, S, heads, d]."""
    y = torch.nn.functional.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=causal, enable_gqa=True
    )
    return y.transpose(1, 2)


def stand_in() -> None:
    """Stand-ins for what is not here, and float32 wherever a script says bfloat16."""
    for name in _ABSENT:
        module = Anything(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.__path__ = []
        sys.modules[name] = module
    for name in ("flash_attn", "flash_attn_interface"):
        sys.modules[name].flash_attn_func = attention  # type: ignore[attr-defined]
    # Fills the table of dtypes before one changes its name.
    torch.save(torch.zeros(1, dtype=torch.bfloat16), io.BytesIO())
    torch.bfloat16 = torch.float32
    torch.nn.Module.bfloat16 = torch.nn.Module.float  # type: ignore[method-assign]
    torch.compile = lambda function=None, **_: function or (lambda inner: inner)  # type: ignore[assignment]
    torch.autocast = lambda *_args, **_kwargs: contextlib.nullcontext()  # type: ignore[misc,assignment]
