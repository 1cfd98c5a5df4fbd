"""F3 to F6 and F12: the dictionary ``{"w": tensors, "m": meta}``, plain or byte-shuffled.

Format: a torch zip, often byte-shuffled (BSHF), compressed by zstd, zlib, xz or brotli; or the same two tables without
a zip (:mod:`evaluator.artifact.flat_file`). How ``m`` describes what ``w`` holds is the subject of
:mod:`evaluator.artifact.entries`. Banked models are exported unbanked: nothing to do here. Bit packing does not occur:
codes of fewer than 8 bits sit in int8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from evaluator.artifact import byteshuffle, entries, flat_file, torch_zip
from evaluator.artifact.codecs import compress
from evaluator.artifact.container import Contents
from evaluator.artifact.entries import Entry
from evaluator.artifact.family import Weights
from evaluator.artifact.tables import arrays, dictionary

NAME: Final = "wm"


def recognise(contents: Contents) -> bool:
    """A dictionary of exactly ``w`` and ``m``."""
    two = isinstance(contents.object, dict) and contents.object.keys() == {"w", "m"}
    return two and contents.container in ("torch-zip", flat_file.CONTAINER)


def decode(contents: Contents) -> Weights:
    """Reconstruct all tensors; raises as :func:`evaluator.artifact.entries.join` does."""
    return Weights(entries.join(arrays(contents.object["w"], "w"), dictionary(contents.object["m"], "m")))


def write(
    tensors: Mapping[str, Entry],
    *,
    codec: str = "brotli",
    shuffle: bool = True,
    meta: Literal["type", "gptq"] = "gptq",
) -> bytes:
    """A whole artifact of this family; equal input gives equal bytes.

    Args:
        tensors: quantised tensors and arrays to keep.
        codec: outer compression, as for :func:`evaluator.artifact.codecs.compress`.
        shuffle: whether to byte-shuffle before compression, stride 2.
        meta: how schemes are written, as for :func:`evaluator.artifact.entries.split`.
    """
    stored, schemes = entries.split(tensors, meta)
    raw = torch_zip.write({"w": stored, "m": schemes})
    return compress(byteshuffle.shuffle(raw) if shuffle else raw, codec)


def write_flat(tensors: Mapping[str, Entry], *, codec: str = "zstd") -> bytes:
    """A whole artifact of F12; equal input gives equal bytes."""
    return compress(flat_file.write(*entries.split(tensors, "type")), codec)
