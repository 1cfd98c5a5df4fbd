"""A training checkpoint: a dictionary that keeps the model's state dict under a customary key.

Format: a torch zip ``{"model_state_dict" | "state_dict" | "model_state" | "model": {NAME: tensor}, ...}``. What lies
beside the state dict (optimiser, step, arguments) is not looked at. Tensors are as in the plain family.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from evaluator.artifact.container import Contents
from evaluator.artifact.families import plain
from evaluator.artifact.family import Weights
from evaluator.artifact.tables import array_table

NAME: Final = "checkpoint"
_KEYS: Final = ("model_state_dict", "state_dict", "model_state", "model")


def recognise(contents: Contents) -> bool:
    """A dictionary with a dictionary of tensors under one of the keys."""
    return _key(contents) is not None


def decode(contents: Contents) -> Weights:
    """Reconstruct all tensors of the state dict; raises as :func:`plain.join` does."""
    key = _key(contents) or ""
    beside = sorted(str(other) for other in contents.object if other != key)
    return Weights(plain.join(array_table(contents.object, key)), notes=(f"not looked at: {', '.join(beside)}",))


def _key(contents: Contents) -> str | None:
    if not isinstance(contents.object, dict):
        return None
    for key in _KEYS:
        table = contents.object.get(key)
        if isinstance(table, dict) and table and all(isinstance(value, np.ndarray) for value in table.values()):
            return key
    return None
