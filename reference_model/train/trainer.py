"""The training loop: a fixed number of steps, seeded, with an average of the weights as its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from reference_model.gpt import GPT
from reference_model.train.batches import windows
from reference_model.train.optimiser import Optimiser
from reference_model.train.settings import StepReport, TrainSettings


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What training yields.

    Attributes:
        state: averaged weights by canonical name, in the model's dtypes.
        losses: mean cross-entropy per step, nats per token, each before its update.
        tokens_seen: targets trained on, repeats counted.
    """

    state: dict[str, Tensor]
    losses: tuple[float, ...]
    tokens_seen: int


def train(
    model: GPT,
    tokens: npt.NDArray[np.uint16],
    settings: TrainSettings,
    on_step: Callable[[StepReport], None] | None = None,
) -> TrainResult:
    """Train ``model`` in place on windows of ``context_len`` tokens; its last, unaveraged weights stay in it.

    The result depends on the initial weights, the arguments and the arithmetic of the machine only: the global
    random number generators are neither read nor moved.

    Args:
        model: on any one device.
        tokens: the training stream, one-dimensional. Nothing else is ever looked at.
        settings: how.
        on_step: called after each step.

    Raises:
        ValueError: too few tokens, or a token outside the vocabulary.
        FloatingPointError: the loss is no longer finite.
    """
    config = model.config
    if tokens.size and int(tokens.max()) >= config.vocab_size:
        raise ValueError(f"token {int(tokens.max())} is outside the vocabulary of {config.vocab_size}")
    device = model.tok_emb.weight.device
    optimiser = Optimiser(model, settings)
    batches = windows(
        tokens, config.context_len, settings.batch_sequences, torch.Generator().manual_seed(settings.seed)
    )
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    losses: list[float] = []
    for step in range(settings.steps):
        model.looping = step >= settings.loop_from * settings.steps
        inputs, targets = next(batches)
        loss = model(inputs.to(device), targets.to(device))
        loss.backward()
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            raise FloatingPointError(f"loss {losses[-1]} at step {step}")
        optimiser.step(step)
        _update_average(average, model, settings.ema_decay, step)
        if on_step is not None:
            on_step(StepReport(step, settings.steps, losses[-1], settings.lr_scale(step)))
    model.looping = True
    return TrainResult(average, tuple(losses), settings.steps * settings.batch_sequences * config.context_len)


@torch.no_grad()
def _update_average(average: dict[str, Tensor], model: GPT, decay: float, step: int) -> None:
    """Fold the weights after ``step`` into their bias-corrected average: weights ``decay^age``, summing to one."""
    share = 1.0 if decay == 0 else (1 - decay) / (1 - decay ** (step + 1))
    for name, value in model.state_dict().items():
        average[name].lerp_(value, share)
