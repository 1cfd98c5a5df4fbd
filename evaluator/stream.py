"""The validation stream: opened and checked here; verified at leisure in :mod:`evaluator.verify`.

Opening maps the shards and credits bytes to targets, which takes a second or two for 62 million tokens. What needs the
whole text (the recount of the bytes, the comparison with the contest's validation set) is a separate step, so that
scoring need not wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evaluator.refusal import Refused
from rules.contest.byte_counts import Bytes, ByteTable, Int64
from rules.contest.dataset import DatasetManifest, read_manifest
from rules.contest.documents import document_starts
from rules.contest.errors import DataError
from rules.contest.profile import ContestProfile
from rules.contest.shards import Tokens, concatenate, find_shards, read_shard
from rules.contest.sidecar import read_sidecar
from rules.contest.tokenizer import Tokenizer, load_tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class ValidationStream:
    """A validation stream, ready to be scored.

    Attributes:
        profile: the contest that it is judged by.
        shards: the files, in stream order.
        tokenizer: the tokenizer that made it.
        tokens: uint16, shape ``(T + 1,)``, read-only; the tail is kept.
        credited: uint16, shape ``(T,)``, read-only: bytes credited to each target ``tokens[p + 1]``.
        bytes_from: where ``credited`` comes from: the tokenizer's byte table, or byte sidecars.
        starts: int64: position of the BOS of each document.
        manifest: the data set's own manifest, where it has one.
    """

    profile: ContestProfile
    shards: tuple[Path, ...]
    tokenizer: Tokenizer
    tokens: Tokens
    credited: Bytes
    bytes_from: Literal["table", "sidecar"]
    starts: Int64
    manifest: DatasetManifest | None

    @property
    def positions(self) -> int:
        """Number of positions ``T``, each with one target."""
        return len(self.credited)

    @property
    def documents(self) -> int:
        """Number of documents, the last of which may be cut."""
        return len(self.starts)

    @property
    def credited_bytes(self) -> int:
        """Bytes credited to all targets: the denominator of bits per byte."""
        return int(self.credited.sum(dtype="int64"))


@contextmanager
def refusing_data() -> Iterator[None]:
    """Turn the contest's :class:`~rules.contest.errors.DataError` into the evaluator's refusal."""
    try:
        yield
    except DataError as error:
        raise Refused(error.reason, error.message) from None


def open_stream(data: Path, tokenizer: Path, profile: ContestProfile) -> ValidationStream:
    """Open the validation split in folder ``data``.

    Args:
        data: folder with ``fineweb_val_*.bin``, perhaps byte sidecars and a ``dataset.json``.
        tokenizer: the SentencePiece model that made the shards.
        profile: the contest.

    Raises:
        Refused: anything about the data that cannot be scored; ``reason`` tells which.
    """
    with refusing_data():
        loaded = load_tokenizer(tokenizer)
        manifest = read_manifest(data)
        _check_manifest(manifest, loaded, profile)
        if loaded.bos_id != profile.validation.bos_id:
            raise DataError(
                "tokenizer-bos",
                f"{tokenizer} begins documents with id {loaded.bos_id}, the contest with {profile.validation.bos_id}",
            )
        shards = find_shards(data, "val")
        tokens = concatenate([read_shard(shard) for shard in shards])
        starts = document_starts(tokens, profile.validation.bos_id)
        if len(tokens) < 2:
            raise DataError("stream-too-short", f"{data} holds {len(tokens)} token: there is no target to score")
        side = read_sidecar(shards, "val", starts)
        if side is None and loaded.has_case_operators:
            raise DataError(
                "sidecar-missing",
                f"{tokenizer} has CaseOps pieces: only a sidecar fineweb_val_bytes_*.bin in {data} has their bytes",
            )
    credited = ByteTable.of(loaded.processor).credited(tokens) if side is None else side
    if not credited.any():
        raise Refused("no-bytes", f"{data}: the targets are credited no bytes at all")
    return ValidationStream(
        profile=profile,
        shards=shards,
        tokenizer=loaded,
        tokens=tokens,
        credited=credited,
        bytes_from="table" if side is None else "sidecar",
        starts=starts,
        manifest=manifest,
    )


def _check_manifest(manifest: DatasetManifest | None, tokenizer: Tokenizer, profile: ContestProfile) -> None:
    if manifest is None:
        return
    if manifest.contest != profile.name:
        raise DataError("contest-mismatch", f"the data belong to contest {manifest.contest}, not {profile.name}")
    if manifest.tokenizer_sha256 != tokenizer.sha256:
        raise DataError(
            "tokenizer-mismatch",
            f"the data were made with a tokenizer of digest {manifest.tokenizer_sha256[:12]}, "
            f"{tokenizer.path} has {tokenizer.sha256[:12]}",
        )
