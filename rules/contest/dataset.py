"""The manifest beside a data set: how many documents and tokens it has, and the digests by which they are known."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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
    except msgspec.DecodeError as error:
        raise DataError("manifest-invalid", f"{path}: {error}") from None


def write_manifest(folder: Path, manifest: DatasetManifest) -> Path:
    """Write ``manifest`` into ``folder`` in a stable, readable form; returns its path."""
    path = folder / MANIFEST_NAME
    path.write_bytes(msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1) + b"\n")
    return path


class Coverage(enum.StrEnum):
    """How a stream compares with the validation set that the contest scores."""

    COMPLETE = "complete"
    """All documents, in order."""
    PARTIAL = "partial"
    """Known documents only, but not all of them."""
    REORDERED = "re-ordered"
    """All documents, in another order."""
    UNKNOWN = "unknown"
    """Something else, or nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Completeness:
    """The verdict on a stream.

    Attributes:
        coverage: the verdict.
        documents: documents in the stream.
        expected: documents of the reference, None where it does not say.
        evidence: one line: what was compared with what.
    """

    coverage: Coverage
    documents: int
    expected: int | None
    evidence: str

    def __str__(self) -> str:
        """Such as ``partial (901 of 50,000 documents): ...``."""
        of = "" if self.expected is None else f" of {self.expected:,}"
        return f"{self.coverage} ({self.documents:,}{of} documents): {self.evidence}"


def compare_documents(digests: Sequence[str], reference: Sequence[str]) -> Completeness:
    """Compare documents with those of a reference, by digest.

    The last document may be cut (a stream that ends early); the others count as they are.
    """
    documents, expected = len(digests), len(reference)

    def verdict(coverage: Coverage, evidence: str) -> Completeness:
        return Completeness(coverage, documents, expected, evidence)

    if list(digests) == list(reference):
        return verdict(Coverage.COMPLETE, "every document's digest is that of the manifest, in order")
    extra = Counter(digests) - Counter(reference)
    if not extra and documents == expected:
        return verdict(Coverage.REORDERED, "the manifest's documents, in another order")
    if not extra:
        return verdict(Coverage.PARTIAL, f"{documents:,} of the manifest's documents")
    if documents > 1 and extra == Counter(digests[-1:]):
        return verdict(Coverage.PARTIAL, f"{documents - 1:,} of the manifest's documents and one that may be cut")
    return verdict(Coverage.UNKNOWN, f"{extra.total():,} documents are not in the manifest")
