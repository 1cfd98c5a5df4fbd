"""Decoding as a pure function of bytes. The jailed child calls it; nothing else does, outside of tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from evaluator.artifact.banks import unbank
from evaluator.artifact.family import decode_family
from evaluator.artifact.limits import DecodeLimits
from evaluator.artifact.numerics import Float32
from evaluator.artifact.open_container import open_container
from evaluator.artifact.safetensors_file import METADATA
from evaluator.refusal import Refused

NAME_LENGTH: Final = 256
"""Longest name of a tensor, in characters."""


def decode_bytes(data: bytes, limits: DecodeLimits) -> tuple[dict[str, Any], dict[str, Float32]]:
    """Decode an artifact in this process.

    Returns:
        the facts ``codec``, ``container``, ``family``, ``raw_bytes``, ``config`` and ``notes`` as JSON values, and the
        float32 tensors by the artifact's own names.

    Raises:
        Refused: whatever any layer refuses; ``not-finite`` for a tensor with NaN or infinity; ``no-tensors``.
    """
    opened = open_container(data, limits)
    family, weights = decode_family(opened.contents)
    tensors = unbank(weights.tensors)
    banked = tensors.keys() != weights.tensors.keys()
    check_tensors(tensors, limits)
    facts = {
        "codec": opened.codec,
        "container": opened.contents.container,
        "family": family,
        "raw_bytes": opened.raw_bytes,
        "config": weights.config,
        "notes": [
            *(["byte-shuffled"] if opened.shuffled else []),
            *(["banks taken apart into the matrices of their blocks"] if banked else []),
            *weights.notes,
        ],
    }
    return facts, tensors


def check_tensors(tensors: Mapping[str, Float32], limits: DecodeLimits) -> None:
    """Refuse tensors that are no weights: none, too many, too large, badly named, not finite. Both sides call it."""
    if not tensors:
        raise Refused("no-tensors", "the artifact holds no tensor")
    if len(tensors) > limits.tensors:
        raise Refused("too-many-tensors", f"the artifact holds more than {limits.tensors:,} tensors")
    if sum(array.nbytes for array in tensors.values()) > limits.tensor_bytes:
        raise Refused("tensors-too-large", f"the tensors exceed {limits.tensor_bytes:,} bytes as float32")
    for name, array in tensors.items():
        if not name.isprintable() or not 0 < len(name) <= NAME_LENGTH or name == METADATA:
            raise Refused("bad-name", f"a tensor has the name {name[:NAME_LENGTH]!r}")
        if not np.isfinite(array).all():
            raise Refused("not-finite", f"tensor {name!r} holds NaN or infinity")
