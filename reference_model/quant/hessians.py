"""Second moments of what each matrix of a model reads, for GPTQ."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from reference_model.gpt import GPT
from reference_model.layers import Linear


@torch.no_grad()
def collect_hessians(model: GPT, batches: Iterable[Tensor]) -> dict[str, Tensor]:
    """``sum x x^T`` over all inputs x of every linear map, float32, by the canonical name of its weight.

    A block that the schedule visits several times adds up all its visits. The tied token embedding is there
    too, with the head's input (the final norm's output, after ``head_proj`` if there is one). Bring the calibration
    tokens from training data: the validation stream has no business here.

    Args:
        model: left as it was.
        batches: int64 [B, S] each.
    """
    sums: dict[str, Tensor] = {}

    def add(name: str, x: Tensor) -> None:
        rows = x.detach().flatten(0, -2).float()
        moment = rows.T @ rows
        sums[name] = sums[name] + moment if name in sums else moment

    def watch(name: str, module: Linear) -> torch.utils.hooks.RemovableHandle:
        def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            add(f"{name}.weight", inputs[0])

        return module.register_forward_pre_hook(before)

    handles = [watch(name, module) for name, module in model.named_modules() if isinstance(module, Linear)]
    head = "tok_emb.weight" if model.lm_head is None else "lm_head.weight"
    try:
        for tokens in batches:
            add(head, model.hidden(tokens))
    finally:
        for handle in handles:
            handle.remove()
    return sums
