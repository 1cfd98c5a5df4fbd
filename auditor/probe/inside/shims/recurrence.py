"""``fla``, the package of recurrent layers in Triton, where it is not installed: causal attention in their place.

What is judged is how a model is scored, not what it computes: a leak of the scorer does not depend on which causal
layer the model has. ``CAVEAT`` says in the report that the layers were not the submission's.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from auditor.probe.inside.patching import nothing
from auditor.probe.inside.shims.attention import attend

CAVEAT = "package fla is not installed: causal attention stands in for its recurrent layers"
_PACKAGE = "fla"


class CausalLayer(nn.Module):
    """Maps [B, T, D] to (output [B, T, D], None, None); position t sees positions up to t."""

    def __init__(self, hidden_size: int, num_heads: int = 4, **_: Any) -> None:
        super().__init__()
        heads = num_heads if hidden_size % num_heads == 0 else 1
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (
            nn.Linear(hidden_size, hidden_size, bias=False) for _ in range(4)
        )
        self.q_conv1d, self.k_conv1d, self.v_conv1d = (nn.Identity() for _ in range(3))

    def forward(self, x: torch.Tensor, *_: Any, **__: Any) -> tuple[torch.Tensor, None, None]:
        """Attend to what came before."""
        q, k, v = (project(x).unflatten(-1, (self.heads, -1)) for project in (self.q_proj, self.k_proj, self.v_proj))
        mixed = attend(q, k, v, causal=True, window=(-1, -1), scale=None)
        return self.o_proj(mixed.flatten(-2)), None, None


def _member(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return CausalLayer if name[:1].isupper() else nothing


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> Any:
        if fullname.partition(".")[0] != _PACKAGE:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__getattr__"] = _member


def is_needed(modules: Sequence[str]) -> bool:
    """Whether a script that imports ``modules`` meets the stand-in; ask before it is installed."""
    return any(name.partition(".")[0] == _PACKAGE for name in modules) and importlib.util.find_spec(_PACKAGE) is None


def install() -> None:
    """Stand in for the package, if it is not there."""
    if importlib.util.find_spec(_PACKAGE) is None:
        sys.meta_path.append(_Finder())
