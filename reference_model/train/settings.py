"""How a model is trained, and what one step reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import msgspec


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of one run of a fixed number of steps.

    Attributes:
        steps: optimiser steps.
        batch_sequences: sequences of ``context_len`` tokens per step.
        seed: seeds the order of the data, the only randomness of a run (initial weights have their own seed).
        matrix_lr: Muon's learning rate, for the matrices of blocks and projections.
        embed_lr: AdamW's, for embedding tables and an untied head.
        scalar_lr: AdamW's, for gains, scales and gates.
        matrix_decay: decoupled weight decay of the matrices, per unit of learning rate.
        embed_decay: of the embeddings.
        scalar_decay: of the rest.
        momentum: Muon's momentum after warm-up.
        momentum_start: Muon's momentum at the first step.
        momentum_warmup: steps over which it rises linearly.
        row_normalise: scale gradient rows to unit length before they are orthogonalised (#1477).
        beta1: AdamW's first decay rate.
        beta2: AdamW's second decay rate.
        clip: largest global gradient norm, 0 is none.
        warmup: steps over which learning rates rise linearly from zero.
        warmdown: last fraction of the steps over which they fall linearly to ``final_scale`` of themselves.
        final_scale: see ``warmdown``.
        ema_decay: decay of the exponential moving average of the weights, which is the result; 0 gives the last
            weights. The average is bias-corrected, so that it forgets the initial weights in a short run too.
        loop_from: fraction of the steps after which the repeated segment runs, in models that have one (#1477 0.5,
            #2140 0.35).
    """

    steps: int
    batch_sequences: int
    seed: int = 0
    matrix_lr: float = 0.02
    embed_lr: float = 0.03
    scalar_lr: float = 0.02
    matrix_decay: float = 0.0
    embed_decay: float = 0.0
    scalar_decay: float = 0.0
    momentum: float = 0.95
    momentum_start: float = 0.85
    momentum_warmup: int = 0
    row_normalise: bool = False
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 0.0
    warmup: int = 0
    warmdown: float = 0.4
    final_scale: float = 0.0
    ema_decay: float = 0.0
    loop_from: float = 0.0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_sequences"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for field in fields(self):
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{field.name} must be finite and not negative, got {value}")
        for name in ("momentum", "momentum_start", "beta1", "beta2", "ema_decay"):
            if getattr(self, name) >= 1:
                raise ValueError(f"{name} must be below 1, got {getattr(self, name)}")
        for name in ("warmdown", "final_scale", "loop_from"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name} must be at most 1, got {getattr(self, name)}")

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Self:
        """The settings that a decoded TOML table describes.

        Raises:
            ValueError: an unknown or missing field, or a value of the wrong type or out of range.
        """
        unknown = sorted(mapping.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"unknown training settings: {', '.join(unknown)}")
        try:
            return msgspec.convert(dict(mapping), cls)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from error

    def lr_scale(self, step: int) -> float:
        """Factor on all learning rates at ``step`` (from 0): linear warm-up, constant, linear warm-down."""
        rising = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        length = self.warmdown * self.steps
        falling = min(1.0, (self.steps - step) / length) if length else 1.0
        return rising * (self.final_scale + (1 - self.final_scale) * falling)

    def momentum_at(self, step: int) -> float:
        """Muon's momentum at ``step``."""
        done = min(1.0, step / self.momentum_warmup) if self.momentum_warmup else 1.0
        return (1 - done) * self.momentum_start + done * self.momentum


@dataclass(frozen=True, slots=True)
class StepReport:
    """One finished training step.

    Attributes:
        step: from 0.
        steps: of the whole run.
        loss: mean cross-entropy of the step's batch before the update, nats per token.
        lr_scale: factor on the learning rates that was used.
    """

    step: int
    steps: int
    loss: float
    lr_scale: float
