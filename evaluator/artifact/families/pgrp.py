"""F7 and F8: per-group containers, most of whose codes are lrzip streams.

Format: :mod:`evaluator.artifact.pgrp` opens the container as a dictionary ``{w, m}``, whose entries are those of
:mod:`evaluator.artifact.entries`, gates, column groups and low-rank corrections among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from evaluator.artifact import entries, pgrp
from evaluator.artifact.container import Contents
from evaluator.artifact.entries import Entry
from evaluator.artifact.family import Weights
from evaluator.artifact.tables import arrays, dictionary

NAME: Final = "pgrp"


def recognise(contents: Contents) -> bool:
    """Whatever came out of a per-group container."""
    return contents.container == pgrp.CONTAINER


def decode(contents: Contents) -> Weights:
    """Reconstruct all tensors; raises as :func:`evaluator.artifact.entries.join` does."""
    return Weights(entries.join(arrays(contents.object["w"], "w"), dictionary(contents.object["m"], "m")))


def write(tensors: Mapping[str, Entry], version: Literal[1, 2] = 1, *, with_lrzip: bool = True) -> bytes:
    """A whole artifact of this family.

    Args:
        tensors: by name.
        version: of the container.
        with_lrzip: in version 2, whether the codes are an lrzip stream or brotli; version 1 knows lrzip only.

    Raises:
        Refused: ``lrzip-missing``.
    """
    stored, schemes = entries.split(tensors)
    if version == 1:
        return pgrp.write(stored, schemes)
    return pgrp.write_named(stored, schemes, with_lrzip=with_lrzip)
