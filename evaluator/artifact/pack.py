"""From an author's checkpoint to a canonical artifact."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from evaluator.artifact.decoding import decode
from evaluator.artifact.families import canonical
from evaluator.artifact.limits import DecodeLimits, MiB
from evaluator.artifact.match import NameMapping, Shape, match
from evaluator.artifact.numerics import Float32, Quantised, Storable
from evaluator.artifact.safetensors_file import read
from evaluator.refusal import Refused

CHECKPOINT_LIMITS: Final = DecodeLimits(
    file_bytes=2048 * MiB, raw_bytes=2048 * MiB, tensor_bytes=2048 * MiB, wall_seconds=300.0, memory_bytes=12_288 * MiB
)
"""A checkpoint carries float32 weights and often the optimiser's state."""
MATRIX_ELEMENTS: Final = 1 << 14
MATRIX_SIDE: Final = 32
_WRAPPERS: Final = re.compile(r"(?:(?:module|_orig_mod)\.)+")
_EMBEDDINGS: Final = ("tok_emb.weight", "lm_head.weight", ".embed.weight")


@dataclass(frozen=True, slots=True)
class Packed:
    """A canonical artifact.

    Attributes:
        data: the file's bytes; their number is what the byte cap counts.
        quantised: number of tensors stored as codes and scales.
        kept: number of tensors stored as float32.
    """

    data: bytes
    quantised: int
    kept: int


def pack(
    checkpoint: Path,
    workdir: Path,
    *,
    config: Mapping[str, Any],
    layout: Mapping[str, Shape],
    to_canonical: NameMapping,
    bits: int | None = 6,
    limits: DecodeLimits = CHECKPOINT_LIMITS,
) -> Packed:
    """Read a checkpoint in the jail, check it against the model and write it in the canonical format.

    Matrices (two axes of at least 32, at least 16,384 elements) become codes; all other tensors stay float32. With
    6 bits, embeddings and the output head take 8, as the contest's own writers do.

    Args:
        checkpoint: safetensors, npz or a torch file with tensors only; prefixes that DistributedDataParallel and
            torch.compile put before names are removed.
        workdir: an existing folder for intermediate files.
        config: fields of the model configuration, for the header.
        layout: shape by canonical name.
        to_canonical: the preset's name map.
        bits: 8, 6, or None to keep everything as it is.
        limits: bounds on reading the checkpoint.

    Raises:
        Refused: as :func:`decode` and :func:`match` do; ``scale-overflow``: a row is too large for an fp16 scale.
        ValueError: ``bits`` is something else.
    """
    if bits not in {6, 8, None}:
        raise ValueError(f"bits must be 6, 8 or None, not {bits}")
    decoded = decode(checkpoint, workdir, limits=limits)

    def unwrapped(names: Iterable[str]) -> dict[str, str]:
        bare = {name: _WRAPPERS.sub("", name, count=1) if _WRAPPERS.match(name) else name for name in names}
        return {name: to_canonical([inner]).get(inner, inner) for name, inner in bare.items()}

    found = match(decoded, layout, unwrapped)
    stored = read(decoded.tensors.read_bytes(), limits).object
    tensors: dict[str, Storable] = {}
    for name, shape in layout.items():
        values: Float32 = stored[found[name]].reshape(shape)
        tensors[name] = _quantise(name, values, bits) if bits is not None and _is_matrix(shape) else values
    quantised = sum(isinstance(value, Quantised) for value in tensors.values())
    return Packed(canonical.write(tensors, config), quantised, len(tensors) - quantised)


def _is_matrix(shape: Shape) -> bool:
    return len(shape) == 2 and min(shape) >= MATRIX_SIDE and shape[0] * shape[1] >= MATRIX_ELEMENTS


def _quantise(name: str, values: Float32, bits: int) -> Quantised:
    import torch

    from reference_model.quant import quantise_rows, quantise_rows_int8

    width = 8 if name.endswith(_EMBEDDINGS) else bits
    weight = torch.from_numpy(values.copy())
    result = quantise_rows_int8(weight) if width == 8 else quantise_rows(weight, width)
    scale = result.scale.numpy()
    if not np.isfinite(scale).all():
        raise Refused("scale-overflow", f"a row of {name!r} is too large for an fp16 scale")
    return Quantised(result.q.numpy(), scale, width)
