"""What the mini contest is made of. A change of any field makes another contest, in another folder of the cache."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from typing import Final

import msgspec

from reference_model import load_preset, load_train_settings

BUILDER_VERSION: Final = 1
"""Raised whenever the builder would make something else from the same settings."""


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """Settings of a build.

    Attributes:
        preset: model preset that is trained.
        vocab_size: pieces of the tokenizer at most; a small corpus may yield fewer.
        fraction: share of the sources (topics and library files) that are read, chosen by the hash of their names.
        val_share: share of the documents that are held out, chosen by the hash of their text.
        document_chars: a document is closed before the paragraph that would make it longer than this.
        steps: optimiser steps; None takes the preset's number.
        seed: of the initial weights.
        threads: of the trainer, fixed because their number moves the last bits.
    """

    preset: str = "mini"
    vocab_size: int = 1024
    fraction: float = 1.0
    val_share: float = 0.12
    document_chars: int = 3000
    steps: int | None = None
    seed: int = 1
    threads: int = 2

    def key(self) -> str:
        """Name of what these settings make on this Python; the preset's own fields count as well."""
        made_from = (self, load_preset(self.preset).to_mapping(), load_train_settings(self.preset))
        digest = hashlib.sha256(msgspec.json.encode(made_from, order="deterministic")).hexdigest()[:8]
        return f"py{platform.python_version()}-v{BUILDER_VERSION}-{digest}"
