"""The canonical format: the path that any author can take, whatever the training code.

Format: one zstd frame of a safetensors file. Its metadata holds two strings, ``format`` = ``referee-canonical-v1`` and
``config``, the model configuration as a JSON object. A tensor ``NAME`` is stored as F32, F16 or BF16, or as the pair
``NAME.q`` (I8) and ``NAME.scale`` (F16 or F32, one per row or one for all), ``W = q * scale``. Names are the canonical
names of the reference model. docs/artifact-format.md has the page for authors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from evaluator.artifact import safetensors_file
from evaluator.artifact.codecs import compress
from evaluator.artifact.container import Contents
from evaluator.artifact.families import plain
from evaluator.artifact.family import Weights
from evaluator.artifact.numerics import Storable
from evaluator.artifact.tables import arrays
from evaluator.refusal import Refused

NAME: Final = "canonical"
FORMAT: Final = f"{plain.CANONICAL}v1"


def recognise(contents: Contents) -> bool:
    """Safetensors with the format's mark in its metadata, of whatever version."""
    return contents.metadata.get("format", "").startswith(plain.CANONICAL)


def decode(contents: Contents) -> Weights:
    """Reconstruct all tensors and the configuration.

    Raises:
        Refused: ``unsupported-version``, ``bad-config`` and what :func:`plain.join` refuses.
    """
    version = contents.metadata["format"]
    if version != FORMAT:
        raise Refused("unsupported-version", f"the header says format {version!r}, this referee reads {FORMAT!r}")
    try:
        config = json.loads(contents.metadata.get("config", ""))
        json.dumps(config, allow_nan=False)  # NaN and 1e999 are no JSON, though Python reads them
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise Refused("bad-config", "the header's 'config' is not a JSON object")
    return Weights(plain.join(arrays(contents.object, "artifact")), config=config)


def write(tensors: Mapping[str, Storable], config: Mapping[str, Any]) -> bytes:
    """A whole canonical artifact; equal input gives equal bytes.

    Args:
        tensors: by canonical name.
        config: the fields of the model configuration.
    """
    metadata = {"format": FORMAT, "config": json.dumps(dict(config), sort_keys=True, separators=(",", ":"))}
    return compress(safetensors_file.write(plain.split(tensors), metadata), "zstd")
