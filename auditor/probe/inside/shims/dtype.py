"""Number formats and modes: bfloat16 becomes float32, autocast nothing, inference mode ``no_grad``."""

from __future__ import annotations

import io
from typing import Any

import torch
import torch.storage

from auditor.probe.inside.patching import NullContext, replace


def _inference_mode(mode: Any = True) -> Any:
    # Tables cached by a forward pass in real inference mode cannot be used by the backward pass of later training.
    if callable(mode):
        return torch.no_grad()(mode)
    return torch.no_grad() if mode else NullContext()


def install() -> None:
    """Patch ``torch.bfloat16``, all spellings of autocast, and ``torch.inference_mode``."""
    # torch.save and torch.load look dtypes up in tables made on first use; made later, two dtypes would be one.
    torch.storage._dtype_to_storage_type_map()
    torch.storage._storage_type_to_dtype_map()
    torch.save(torch.zeros(1), io.BytesIO())
    replace(torch, bfloat16=torch.float32, inference_mode=_inference_mode, autocast=NullContext)
    replace(torch.Tensor, bfloat16=lambda tensor, *_, **__: tensor.float())
    replace(torch.nn.Module, bfloat16=lambda module: module.float())
    replace(torch, is_inference_mode_enabled=lambda: False)
    for owner in (torch.amp, torch.cuda.amp, torch.amp.autocast_mode):
        replace(owner, autocast=NullContext)
