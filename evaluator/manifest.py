"""The manifest beside an artifact: ``artifact.ptz`` -> ``artifact.manifest.json``.

It only fills in command-line options that were not given, and everything it fills in is printed. It is written by the
submitter, so nothing that moves an *official* score is ever taken from it.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from evaluator.refusal import Refused

_LIMIT_BYTES = 1 << 20


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Defaults for one artifact; paths are relative to the manifest's folder.

    Attributes:
        contest: name of a contest profile.
        preset: name of a model preset.
        eval_preset: name of an evaluation preset.
        data: folder of the validation shards.
        tokenizer: SentencePiece model.
        code: files and folders whose bytes count.
    """

    contest: str | None = None
    preset: str | None = None
    eval_preset: str | None = None
    data: str | None = None
    tokenizer: str | None = None
    code: tuple[str, ...] = ()


def manifest_path(artifact: Path) -> Path:
    """Where the manifest of ``artifact`` lies."""
    return artifact.with_name(artifact.name.split(".")[0] + ".manifest.json")


def read_manifest(artifact: Path) -> tuple[Manifest, Path | None]:
    """The manifest beside ``artifact`` and its path; an empty one and None if there is none.

    Raises:
        Refused: the manifest is not what it should be.
    """
    path = manifest_path(artifact)
    try:
        if not path.is_file():
            return Manifest(), None
        with path.open("rb") as file:
            data = file.read(_LIMIT_BYTES + 1)
    except OSError as error:
        raise Refused("bad-manifest", f"{path.name}: {error.strerror}") from error
    if len(data) > _LIMIT_BYTES:
        raise Refused("bad-manifest", f"{path.name} is larger than {_LIMIT_BYTES} bytes")
    try:
        return msgspec.json.decode(data, type=Manifest), path
    except ValueError as error:
        raise Refused("bad-manifest", f"{path.name}: {error}") from error


def write_manifest(artifact: Path, manifest: Manifest) -> Path:
    """Write ``manifest`` beside ``artifact``; the path written."""
    path = manifest_path(artifact)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    return path


def beside(manifest: Path, relative: str) -> Path:
    """A path of the manifest, resolved against its folder without following links."""
    return Path(os.path.normpath(manifest.parent / relative))
