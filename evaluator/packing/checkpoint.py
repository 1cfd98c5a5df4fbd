"""Reading an author's checkpoint: untrusted, so in the jail, and checked against the model before anything else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from evaluator.artifact.decoding import decode
from evaluator.artifact.limits import DecodeLimits, MiB
from evaluator.artifact.match import NameMapping, Shape, match
from evaluator.artifact.numerics import Float32
from evaluator.artifact.safetensors_file import read

CHECKPOINT_LIMITS: Final = DecodeLimits(
    file_bytes=2048 * MiB, raw_bytes=2048 * MiB, tensor_bytes=2048 * MiB, wall_seconds=300.0, memory_bytes=12_288 * MiB
)
"""A checkpoint carries float32 weights and often the optimiser's state."""
_WRAPPERS: Final = re.compile(r"(?:(?:module|_orig_mod)\.)+")


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The weights of a model.

    Attributes:
        weights: writable float32 arrays by canonical name, in the order of the model's layout.
        names: the author's own name of each, without wrappers, by canonical name.
    """

    weights: Mapping[str, Float32]
    names: Mapping[str, str]


def read_checkpoint(
    path: Path,
    workdir: Path,
    layout: Mapping[str, Shape],
    to_canonical: NameMapping,
    limits: DecodeLimits = CHECKPOINT_LIMITS,
) -> Checkpoint:
    """Read ``path`` and match it with the model.

    Args:
        path: safetensors, npz, a torch file with tensors only, or any artifact; prefixes that DistributedDataParallel
            and torch.compile put before names are removed, banks are taken apart.
        workdir: an existing folder for intermediate files.
        layout: shape by canonical name.
        to_canonical: the preset's name map.
        limits: bounds on reading.

    Raises:
        Refused: as :func:`evaluator.artifact.decode` and :func:`evaluator.artifact.match` do.
    """
    decoded = decode(path, workdir, limits=limits)

    def unwrapped(names: Iterable[str]) -> dict[str, str]:
        bare = {name: _bare(name) for name in names}
        return {name: to_canonical([inner]).get(inner, inner) for name, inner in bare.items()}

    found = match(decoded, layout, unwrapped)
    stored = read(decoded.tensors.read_bytes(), limits).object
    return Checkpoint(
        {name: np.array(stored[found[name]]).reshape(shape) for name, shape in layout.items()},
        {name: _bare(theirs) for name, theirs in found.items()},
    )


def _bare(name: str) -> str:
    return _WRAPPERS.sub("", name, count=1) if _WRAPPERS.match(name) else name
