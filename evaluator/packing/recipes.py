"""The kinds of artifact that ``evaluate pack`` can make: how matrices are rounded, and in which family they are stored.

Each recipe is what a published system does, with its own constants (systems.md 0.6 to 5.2); the name says what is
particular about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from evaluator.artifact.match import Shape

SIDE: Final = 32
"""A matrix has at least this many rows and columns; what is thinner gains nothing from codes."""
CONTEST_SMALLEST: Final = 65_537
"""The contest's writers keep every tensor of at most 65,536 elements."""
_EMBEDDING: Final = re.compile(r"tok_emb\.weight|lm_head\.weight|.+\.embed\.weight")
_BLOCK: Final = re.compile(r"blocks\.([0-9]+)\..+")


@dataclass(frozen=True, slots=True)
class Rounding:
    """How one matrix becomes codes.

    Attributes:
        kind: ``int8`` clip at a quantile of the row; ``rows`` at the row's maximum; ``searched`` at the best of five
            quantiles; ``sdclip`` at a number of standard deviations; ``gptq`` the same with GPTQ's corrections.
        bits: width of the codes.
        deviations: where ``sdclip`` and ``gptq`` clip.
    """

    kind: Literal["int8", "rows", "searched", "sdclip", "gptq"]
    bits: int
    deviations: float = 0.0

    def narrowed(self, bits: int) -> Rounding:
        """The same with at most ``bits`` bits; int8's own rule is for 8 bits, so fewer take the row's maximum."""
        if self.bits <= bits:
            return self
        return Rounding("rows" if self.kind == "int8" else self.kind, bits, self.deviations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One kind of artifact.

    Attributes:
        about: for a reader, with the pull requests that write it.
        container: the format family: ``canonical``; ``clean-dict``; ``wm`` with the given codec and no byte shuffle;
            ``wm-shuffled``; ``pgrp`` (version 1).
        attention, mlp: matrices of the blocks (``mlp`` takes those in ``mlp.``), and projections beside them; None
            keeps all tensors as they are.
        embeddings: embedding tables and the output head.
        smallest: elements from which on a matrix is quantised.
        kept: dtype of what is not.
        prune: fraction of each matrix that is zeroed before rounding, least magnitudes first.
        factored: how many matrices get a low-rank correction.
        finer_groups: how many groups of 64 columns, of all matrices below 8 bits, get 8 bits.
        gates: whether small gate matrices are stored in int8.
        codec: outer compression of ``wm``.
    """

    about: str
    container: Literal["canonical", "clean-dict", "wm", "wm-shuffled", "pgrp"]
    attention: Rounding | None
    mlp: Rounding | None
    embeddings: Rounding | None
    smallest: int = CONTEST_SMALLEST
    kept: Literal["float16", "float32"] = "float16"
    prune: float = 0.0
    factored: int = 0
    finer_groups: int = 0
    gates: bool = False
    codec: str = "zstd"

    @property
    def calibrated(self) -> bool:
        """Whether it needs to see training tokens."""
        kinds = {rounding.kind for rounding in (self.attention, self.mlp, self.embeddings) if rounding}
        return "gptq" in kinds or self.finer_groups > 0

    def rounding(self, name: str, shape: Shape) -> Rounding | None:
        """How the tensor of canonical name ``name`` is rounded; None: it is kept."""
        if len(shape) != 2 or min(shape) < SIDE or shape[0] * shape[1] < self.smallest:
            return None
        if is_embedding(name):
            return self.embeddings
        return self.mlp if ".mlp." in name else self.attention


def is_embedding(name: str) -> bool:
    """Whether a canonical name is that of a table with a row per token or bucket, or of the output head."""
    return _EMBEDDING.fullmatch(name) is not None


def block_of(name: str) -> int | None:
    """The block that a canonical name belongs to, if any."""
    found = _BLOCK.fullmatch(name)
    return int(found[1]) if found else None


_INT8 = Rounding("int8", 8)
_ROWS6 = Rounding("rows", 6)
_SD6, _SD8 = Rounding("sdclip", 6, 12.85), Rounding("sdclip", 8, 20.0)
_GPTQ6, _GPTQ8 = Rounding("gptq", 6, 12.85), Rounding("gptq", 8, 20.0)
_CANONICAL_SMALLEST = 1 << 14

RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        "canonical": Recipe(
            about="canonical format, int6 by row maximum, embeddings int8",
            container="canonical",
            attention=_ROWS6,
            mlp=_ROWS6,
            embeddings=_INT8,
            smallest=_CANONICAL_SMALLEST,
            kept="float32",
        ),
        "canonical-int8": Recipe(
            about="canonical format, int8",
            container="canonical",
            attention=_INT8,
            mlp=_INT8,
            embeddings=_INT8,
            smallest=_CANONICAL_SMALLEST,
            kept="float32",
        ),
        "float32": Recipe(
            about="canonical format, nothing quantised",
            container="canonical",
            attention=None,
            mlp=None,
            embeddings=None,
            kept="float32",
        ),
        "p8": Recipe(
            about="the baseline's int8 clean dictionary, zlib",
            container="clean-dict",
            attention=_INT8,
            mlp=_INT8,
            embeddings=_INT8,
            kept="float32",
        ),
        "pn": Recipe(
            about="int6 by row maximum, embeddings int8, zstd (#398, #940)",
            container="wm",
            attention=_ROWS6,
            mlp=_ROWS6,
            embeddings=_INT8,
        ),
        "searched": Recipe(
            about="int6 with searched clips, embeddings int8, xz (#549)",
            container="wm",
            attention=Rounding("searched", 6),
            mlp=Rounding("searched", 6),
            embeddings=_INT8,
            codec="lzma",
        ),
        "pruned": Recipe(
            about="8 % pruned, int5 with searched clips, embeddings int8, zstd (#779)",
            container="wm",
            attention=Rounding("searched", 5),
            mlp=Rounding("searched", 5),
            embeddings=_INT8,
            prune=0.08,
        ),
        "sdclip": Recipe(
            about="int6 and int8 clipped by standard deviation, byte shuffle, brotli",
            container="wm-shuffled",
            attention=_SD6,
            mlp=_SD6,
            embeddings=_SD8,
        ),
        "gptq": Recipe(
            about="the same by GPTQ (#1394, #1477)",
            container="wm-shuffled",
            attention=_GPTQ6,
            mlp=_GPTQ6,
            embeddings=_GPTQ8,
        ),
        "lqer": Recipe(
            about="GPTQ, three low-rank corrections, int8 gates (#1797)",
            container="wm-shuffled",
            attention=_GPTQ6,
            mlp=_GPTQ6,
            embeddings=Rounding("gptq", 7, 15.0),
            factored=3,
            gates=True,
        ),
        "awq-lite": Recipe(
            about="LQER with one group of finer columns, per-group lrzip streams (#2140)",
            container="pgrp",
            attention=Rounding("gptq", 6, 13.0),
            mlp=Rounding("gptq", 6, 11.5),
            embeddings=Rounding("gptq", 7, 14.0),
            factored=3,
            finer_groups=1,
            gates=True,
        ),
    }
)
"""Every recipe by name."""
