"""F10: the compact research export, a flat dictionary of tensors under one key.

Format (#809, #868, #943): usually xz or zstd of a torch zip ``{"payload": {NAME: tensor, or NAME.q and NAME.scale}}``,
perhaps with a string ``format`` beside it. Nothing says how a tensor is stored; the presence of ``NAME.q`` decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from evaluator.artifact import torch_zip
from evaluator.artifact.codecs import compress
from evaluator.artifact.container import Contents
from evaluator.artifact.families import plain
from evaluator.artifact.family import Weights
from evaluator.artifact.numerics import Storable
from evaluator.artifact.tables import array_table

NAME: Final = "research-export"


def recognise(contents: Contents) -> bool:
    """A dictionary under ``payload``, and besides it at most a label."""
    tree = contents.object
    return isinstance(tree, dict) and isinstance(tree.get("payload"), dict) and tree.keys() <= {"payload", "format"}


def decode(contents: Contents) -> Weights:
    """Reconstruct all tensors; raises as :func:`evaluator.artifact.families.plain.join` does."""
    return Weights(plain.join(array_table(contents.object, "payload")))


def write(tensors: Mapping[str, Storable], codec: str = "lzma") -> bytes:
    """A whole artifact of this family; equal input gives equal bytes."""
    return compress(torch_zip.write({"payload": plain.split(tensors)}), codec)
