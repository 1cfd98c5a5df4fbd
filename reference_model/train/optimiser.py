"""Which optimiser moves which parameter, and by how much at each step."""

from __future__ import annotations

import torch
from torch import nn

from reference_model.gpt import GPT
from reference_model.layers import Embedding, Linear
from reference_model.train.muon import Muon
from reference_model.train.settings import TrainSettings


class Optimiser:
    """Muon for the projections' matrices, AdamW for embeddings and for everything small."""

    def __init__(self, model: GPT, settings: TrainSettings) -> None:
        self.settings = settings
        self.parameters = list(model.parameters())
        matrices, tables, controls = _groups(model)
        self.muon = Muon(matrices, decay=settings.matrix_decay, row_normalise=settings.row_normalise)
        self.adam = torch.optim.AdamW(
            [
                {"params": tables, "base_lr": settings.embed_lr, "weight_decay": settings.embed_decay},
                {"params": controls, "base_lr": settings.scalar_lr, "weight_decay": settings.scalar_decay},
            ],
            betas=(settings.beta1, settings.beta2),
            eps=1e-8,
        )

    def step(self, step: int) -> None:
        """Clip the gradients, update every parameter by the settings of ``step``, and drop the gradients."""
        scale = self.settings.lr_scale(step)
        if self.settings.clip:
            nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.muon.step(self.settings.matrix_lr * scale, self.settings.momentum_at(step))
        for group in self.adam.param_groups:
            group["lr"] = group["base_lr"] * scale
        self.adam.step()
        for parameter in self.parameters:
            parameter.grad = None


def _groups(model: GPT) -> tuple[list[nn.Parameter], list[nn.Parameter], list[nn.Parameter]]:
    """The model's parameters as (matrices, tables, controls).

    Gates are matrices in shape only, a few rows that read many channels: controls, as in the systems themselves.
    """
    matrices: list[nn.Parameter] = []
    tables: list[nn.Parameter] = []
    for name, module in model.named_modules():
        if not isinstance(module, Embedding | Linear):
            continue
        if isinstance(module, Embedding) or module is model.lm_head:
            tables.append(module.weight)
        elif "gate" not in name:
            matrices.append(module.weight)
    placed = {id(parameter) for parameter in (*matrices, *tables)}
    return matrices, tables, [parameter for parameter in model.parameters() if id(parameter) not in placed]
