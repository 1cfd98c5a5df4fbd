"""The manifest beside a data set: how many documents and tokens it has, and the digests by which they are known."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from rules.contest.errors import DataError
from rules.contest.files import read_small

MANIFEST_NAME: Final = "dataset.json"
_LIMIT: Final = 64 << 20


class SplitManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One split.

    Attributes:
        documents: number of documents.
        tokens: number of tokens, BOS included.
        text_bytes: UTF-8 bytes of the normalised text.
        sha256: digest of the tokens in order (:func:`rules.contest.documents.stream_digest`).
        document_digests: digest of each document in order; empty where they were not recorded.
    """

    documents: int
    tokens: int
    text_bytes: int
    sha256: str
    document_digests: tuple[str, ...] = ()


class DatasetManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A data set in one tokenization.

    Attributes:
        contest: name of the contest profile.
        source: what the text is, for a reader.
        tokenizer: file name of the SentencePiece model, relative to the manifest.
        tokenizer_sha256: digest of that file.
        vocab_size: number of its pieces.
        train: the train split, where it is present.
        val: the validation split.
    """

    contest: str
    source: str
    tokenizer: str
    tokenizer_sha256: str
    vocab_size: int
    val: SplitManifest
    train: SplitManifest | None = None


def read_manifest(folder: Path) -> DatasetManifest | None:
    """The manifest in ``folder``, None where there is none.

    Raises:
        DataError: ``manifest-*``: it is there but cannot be read as one.
    """
    path = folder / MANIFEST_NAME
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(read_small(path, "manifest", _LIMIT), type=DatasetManifest)
    except ValueError as error:
        raise DataError("manifest-invalid", f"{path}: {error}") from None


def write_manifest(folder: Path, manifest: DatasetManifest) -> Path:
    """Write ``manifest`` into ``folder`` in a stable, readable form; returns its path."""
    path = folder / MANIFEST_NAME
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1) + b"\n")
    return path
