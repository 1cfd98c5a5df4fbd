"""From the bytes of an artifact to the contents of its container: codec, byte shuffle, container."""

from __future__ import annotations

from dataclasses import dataclass

from evaluator.artifact import (
    byteshuffle,
    codecs,
    flat_file,
    npz,
    numpy_pickle,
    pgrp,
    safetensors_file,
    tagged,
    torch_zip,
    zip_records,
)
from evaluator.artifact.container import Contents
from evaluator.artifact.limits import DecodeLimits
from evaluator.refusal import Refused


@dataclass(frozen=True, slots=True)
class Opened:
    """An artifact with its layers removed: outer codec, size after decompression, whether shuffled, contents."""

    codec: str
    raw_bytes: int
    shuffled: bool
    contents: Contents


def open_container(data: bytes, limits: DecodeLimits) -> Opened:
    """Remove codec and byte shuffle and open the container, all found by content.

    Raises:
        Refused: for every reason of the layers; ``unknown-codec``: no layer is recognised.
    """
    codec, raw = _decompress(data, limits)
    codecs.refuse_unsupported(raw, "the artifact" if codec == "none" else f"what the {codec} stream holds")
    body = byteshuffle.unshuffle(raw)
    return Opened(codec, len(raw), body is not raw, _open(body, limits))


def _decompress(data: bytes, limits: DecodeLimits) -> tuple[str, bytes]:
    allowance = limits.raw_allowance(len(data))
    if safetensors_file.is_certain(data):
        return "none", data
    if tag := tagged.codec(data):
        return tag, tagged.decompress(data, allowance)
    codec = codecs.sniff(data)
    if codec is not None:
        return codec, codecs.decompress(data, codec, allowance)
    if _is_container(data):
        return "none", data
    for candidate in codecs.without_magic(data):
        if _is_container(codecs.first_piece(data, candidate)):
            return candidate, codecs.decompress(data, candidate, allowance)
    raise Refused("unknown-codec", "neither a known compression nor a known container starts like this file")


def _is_container(data: bytes) -> bool:
    return (
        data.startswith((byteshuffle.MAGIC, zip_records.MAGIC, npz.MAGIC, pgrp.MAGIC))
        or numpy_pickle.looks_like(data)
        or flat_file.looks_like(data)
        or safetensors_file.looks_like(data)
        or data[:4] in codecs.UNSUPPORTED_TAGS
    )


def _open(body: bytes, limits: DecodeLimits) -> Contents:
    if safetensors_file.is_certain(body):
        return safetensors_file.read(body, limits)
    if body.startswith(zip_records.MAGIC):
        return _open_zip(body, limits)
    if body.startswith(pgrp.MAGIC):
        return pgrp.read(body, limits)
    if body.startswith(npz.MAGIC):
        raise Refused("unsupported-format", "a single npy array has no tensor names; save an npz or safetensors")
    if numpy_pickle.looks_like(body):
        return numpy_pickle.read(body, limits)
    if safetensors_file.looks_like(body):
        return safetensors_file.read(body, limits)
    if flat_file.looks_like(body):
        return flat_file.read(body, limits)
    raise Refused("unknown-container", "what the artifact decompresses to is no known container")


def _open_zip(body: bytes, limits: DecodeLimits) -> Contents:
    names = zip_records.names(body)
    if torch_zip.is_torch_zip(names):
        return torch_zip.read(body, limits)
    if names and all(name.endswith(npz.SUFFIX) for name in names):
        return npz.read(body, limits)
    raise Refused("unknown-container", "the zip file is neither a torch archive nor an npz")
