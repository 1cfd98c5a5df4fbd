"""A small trainer: arrays of tokens in, averaged weights out. It reads no files and sees only what it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_model.train.settings import StepReport, TrainSettings

if TYPE_CHECKING:
    from reference_model.train.trainer import TrainResult, train

__all__ = ["StepReport", "TrainResult", "TrainSettings", "train"]


def __getattr__(name: str) -> object:
    if name in ("TrainResult", "train"):
        from reference_model.train import trainer  # torch costs a second

        return getattr(trainer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
