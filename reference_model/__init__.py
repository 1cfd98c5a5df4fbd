"""One configurable reference GPT; each known system is a preset.

Importing this package does not import torch: only touching :class:`GPT` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reference_model.config import GPTConfig
from reference_model.layout import num_parameters, state_layout
from reference_model.names import NameMap
from reference_model.preset import load_names, load_preset, load_train_settings, preset_names
from reference_model.schedule import Schedule, schedule

if TYPE_CHECKING:
    from reference_model.gpt import GPT

__all__ = [
    "GPT",
    "GPTConfig",
    "NameMap",
    "Schedule",
    "load_names",
    "load_preset",
    "load_train_settings",
    "num_parameters",
    "preset_names",
    "schedule",
    "state_layout",
]


def __getattr__(name: str) -> object:
    if name == "GPT":
        from reference_model.gpt import GPT  # torch costs a second

        return GPT
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
