"""Mixers by name: one module of :mod:`evaluator.mixer.kinds` is one mixer."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from typing import Any

from evaluator.ledger import Tokens
from evaluator.mixer import kinds
from evaluator.mixer.base import Mixer


def mixer_names() -> list[str]:
    """The names that :func:`build_mixer` knows, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(kinds.__path__))


def build_mixer(name: str, tokens: Tokens, vocab_size: int, settings: Mapping[str, Any]) -> Mixer:
    """The mixer called ``name`` at position 0 of a stream.

    A module of :mod:`evaluator.mixer.kinds` defines ``Settings``, a frozen dataclass whose fields all have defaults and
    which raises ValueError for values out of range, and ``build(tokens, vocab_size, settings)``. It is imported here
    and not before, and numba with it, if it counts.

    Args:
        name: one of :func:`mixer_names`.
        tokens: uint16, shape ``(T + 1,)``: the stream.
        vocab_size: size ``V`` of the network's distribution.
        settings: values of fields of the mixer's ``Settings``; the others keep their defaults.

    Raises:
        ValueError: an unknown mixer, an unknown setting, or a value out of range.
    """
    names = mixer_names()
    if name not in names:
        raise ValueError(f"no mixer is called {name!r}; there are {', '.join(names)}")
    module = importlib.import_module(f"{kinds.__name__}.{name}")
    known = [field.name for field in dataclasses.fields(module.Settings)]
    if unknown := sorted(set(settings) - set(known)):
        raise ValueError(f"mixer {name} has no setting {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    mixer: Mixer = module.build(tokens, vocab_size, module.Settings(**settings))
    return mixer
