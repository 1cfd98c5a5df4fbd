"""From tokens to an artifact: train the preset's model, quantise it, write it as a submission would."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from evaluator.artifact.families import wm
from evaluator.artifact.numerics import Quantised, Storable
from mini_contest.progress import Report
from mini_contest.settings import BuildSettings
from reference_model import GPT, load_preset, load_train_settings
from reference_model.quant import quantise_rows_int8, quantise_sdclip
from reference_model.train.settings import StepReport
from reference_model.train.trainer import train
from rules.contest.shards import Tokens

LAST_STEPS: Final = 10
SMALLEST_QUANTISED: Final = 4096
"""Elements; smaller tensors are kept in half precision, where their codes and scales would save next to nothing."""

EMBEDDING: Final = "tok_emb.weight"
MATRIX_BITS: Final = 6
MATRIX_DEVIATIONS: Final = 6.0
"""Where the matrices are clipped, in standard deviations of the row. Measured: 0.01 bpb better than the 12.85 that
#1477 uses for its larger rows, at the price of a quarter more bytes, of which there are enough here."""


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A trained model.

    Attributes:
        state: weights by canonical name.
        parameters: number of them.
        loss: mean training loss of the last steps, nats per token.
    """

    state: Mapping[str, Tensor]
    parameters: int
    loss: float


def train_model(tokens: Tokens, settings: BuildSettings, report: Report) -> TrainedModel:
    """Train the preset's model on ``tokens``, uint16 ``(N,)``; the same result for the same machine and torch."""
    train_settings = load_train_settings(settings.preset)
    if settings.steps is not None:
        train_settings = dataclasses.replace(train_settings, steps=settings.steps)
    model = GPT(load_preset(settings.preset), seed=settings.seed)

    def on_step(step: StepReport) -> None:
        report(step.step + 1, step.steps, f"loss {step.loss:.3f}")

    with _threads(settings.threads):
        result = train(model, tokens, train_settings, on_step)
    last = result.losses[-LAST_STEPS:]
    return TrainedModel(result.state, sum(p.numel() for p in model.parameters()), sum(last) / len(last))


def pack(state: Mapping[str, Tensor]) -> bytes:
    """The artifact: ``{"w", "m"}``, the token embedding in int8, other matrices in int6, byte-shuffled, brotli."""
    return wm.write({name: _storable(name, value) for name, value in state.items()})


def _storable(name: str, value: Tensor) -> Storable:
    if value.ndim != 2 or value.numel() < SMALLEST_QUANTISED:
        return value.half().numpy()
    if name == EMBEDDING:
        rows, bits = quantise_rows_int8(value), 8
    else:
        rows, bits = quantise_sdclip(value, MATRIX_BITS, MATRIX_DEVIATIONS), MATRIX_BITS
    return Quantised(rows.q.numpy(), rows.scale.numpy(), bits)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Run on ``count`` threads: their number decides the order of sums, and so the last bits of the weights."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
