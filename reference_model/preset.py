"""Presets: the known systems, one TOML file each, in the package's ``presets`` folder.

A file has the tables ``[about]`` (title, source), ``[model]`` (fields of :class:`GPTConfig`), ``[names]`` (patterns of
:class:`NameMap`) and optionally ``[train]`` (fields of :class:`TrainSettings`).
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from reference_model.config import GPTConfig
from reference_model.names import NameMap
from reference_model.train.settings import TrainSettings


def preset_names() -> list[str]:
    """The names of all presets, sorted."""
    folder = resources.files("reference_model") / "presets"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_preset(name: str) -> GPTConfig:
    """The model of preset ``name``.

    Raises:
        ValueError: no such preset, or its file is wrong.
    """
    return GPTConfig.from_mapping(_tables(name)["model"])


def load_names(name: str) -> NameMap:
    """How artifacts of preset ``name`` call their tensors. Raises as :func:`load_preset`."""
    return NameMap(_tables(name).get("names", {}))


def load_about(name: str) -> dict[str, str]:
    """``title`` and ``source`` of preset ``name``. Raises as :func:`load_preset`."""
    return dict(_tables(name)["about"])


def load_train_settings(name: str) -> TrainSettings:
    """How preset ``name`` is trained.

    Raises:
        ValueError: as :func:`load_preset`, or the preset does not say.
    """
    tables = _tables(name)
    if "train" not in tables:
        raise ValueError(f"preset {name!r} has no training settings")
    return TrainSettings.from_mapping(tables["train"])


@cache
def _tables(name: str) -> dict[str, Any]:
    known = preset_names()
    if name not in known:
        raise ValueError(f"no preset {name!r}; there are {', '.join(known)}")
    return tomllib.loads((resources.files("reference_model") / "presets" / f"{name}.toml").read_text("utf-8"))
