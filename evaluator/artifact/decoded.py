"""What decoding an artifact yields: named float32 tensors in a safetensors file, and the facts about its format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Decoded:
    """An artifact after the jailed child has decoded and dequantised it.

    Attributes:
        tensors: safetensors file, float32, keyed by the artifact's *own* tensor names; what the
            child sent, checked by the parent: finite, in range, non-overlapping.
        shapes: shape per tensor name.
        codec: outer compression, ``"zlib"``, ``"lzma"``, ``"lzma-alone"``, ``"raw-lzma2"``, ``"zstd"``,
            ``"brotli"``, ``"gzip"``, ``"rans"``, ``"tagged-brotli"``, ``"tagged-lzma"`` or ``"none"``.
        container: inner container, such as ``"torch-zip"`` or ``"safetensors"``.
        family: format family, such as ``"clean-dict"``.
        artifact_bytes: size of the file as submitted, in bytes: what the cap counts.
        raw_bytes: size after decompression.
        sha256: digest of the file as submitted, hexadecimal.
        config: the model configuration that a canonical artifact carries in its header, else None.
        tier: sandbox tier that the decoding ran under.
        notes: facts a reader should know, one line each.
    """

    tensors: Path
    shapes: Mapping[str, tuple[int, ...]]
    codec: str
    container: str
    family: str
    artifact_bytes: int
    raw_bytes: int
    sha256: str
    config: Mapping[str, Any] | None
    tier: str
    notes: tuple[str, ...] = field(default=())
