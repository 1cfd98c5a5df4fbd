"""Verification of a validation stream: bytes recounted from the decoded text, digests, and completeness.

One pass over the text, document by document, on one core; it may run in a thread beside the start of scoring.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from evaluator.refusal import Refused
from evaluator.stream import ValidationStream, refusing_data
from rules.contest.byte_counts import decode_documents, document_bytes, recount, text_bytes
from rules.contest.case_operators import plain_text
from rules.contest.completeness import Completeness, Coverage, PrefixDigests, compare_documents, compare_text
from rules.contest.documents import document_digests, stream_digest

SIDECAR_TOLERANCE = 1e-3
"""A sidecar counts text before normalisation. The two lengths differ by 6.5e-5 on real documents (artifacts.md 5); the
rule on denominators allows 1e-3 (rules.md 4.1)."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What verification found; everything here is reproducible but ``seconds``.

    Attributes:
        tokens_sha256: digest of the tokens in order, as little-endian uint16.
        bytes_sha256: digest of the credited bytes in order, as little-endian uint16.
        tokenizer_sha256: digest of the tokenizer file.
        documents: number of documents.
        text_bytes: UTF-8 length of the decoded, normalised text.
        credited_bytes: bytes credited to all targets; equal to ``text_bytes`` unless they come from a sidecar, which
            counts the text before normalisation.
        completeness: whether this is the contest's validation set.
        seconds: wall seconds that verification took.
    """

    tokens_sha256: str
    bytes_sha256: str
    tokenizer_sha256: str
    documents: int
    text_bytes: int
    credited_bytes: int
    completeness: Completeness
    seconds: float


def verify_stream(stream: ValidationStream, on_progress: Callable[[int, int], None] | None = None) -> StreamFacts:
    """Recount the bytes of ``stream`` and find out what it is.

    Args:
        stream: as opened.
        on_progress: called with (documents done, documents in all) now and then.

    Raises:
        Refused: ``byte-recount``: the byte table disagrees with the decoded text; ``token-outside-vocabulary``;
            ``sidecar-implausible``; ``credited-bytes``: not the bytes that this stream is known to have.
    """
    began = time.monotonic()
    prefixes = PrefixDigests(stream.profile.validation.prefixes)
    with refusing_data():
        decoded = _recount(stream, prefixes, on_progress)
    tokens_sha256 = stream_digest(stream.tokens)
    _check_known_bytes(stream, tokens_sha256)
    return StreamFacts(
        tokens_sha256=tokens_sha256,
        bytes_sha256=stream_digest(stream.credited),
        tokenizer_sha256=stream.tokenizer.sha256,
        documents=stream.documents,
        text_bytes=decoded,
        credited_bytes=stream.credited_bytes,
        completeness=_completeness(stream, decoded, prefixes),
        seconds=time.monotonic() - began,
    )


def _recount(stream: ValidationStream, prefixes: PrefixDigests, on_progress: Callable[[int, int], None] | None) -> int:
    """Bytes of the decoded text, after each document's have been compared with those credited to it."""
    credited = document_bytes(stream.credited, stream.starts)
    has_operators = stream.tokenizer.has_case_operators
    done = decoded = 0
    for batch in decode_documents(stream.tokens, stream.starts, stream.tokenizer.processor):
        for document, raw in enumerate(batch, done):
            text = plain_text(raw) if has_operators else raw
            prefixes.add(text)
            if stream.bytes_from == "sidecar":
                decoded += text_bytes(text)
            else:
                last = document == stream.documents - 1
                decoded += recount(text, int(credited[document]), document=document, last=last)
        done += len(batch)
        if on_progress is not None:
            on_progress(done, stream.documents)
    total = int(credited.sum())
    if stream.bytes_from == "sidecar" and abs(total - decoded) > SIDECAR_TOLERANCE * decoded:
        raise Refused(
            "sidecar-implausible",
            f"the sidecars credit {total:,} bytes, the decoded text has {decoded:,}: they differ by more than "
            f"{SIDECAR_TOLERANCE:.1%}",
        )
    return decoded


def _check_known_bytes(stream: ValidationStream, tokens_sha256: str) -> None:
    """Refuse a stream that is known, by its digest or its length, to have other bytes."""
    expected: int | None = None
    size = (stream.tokenizer.vocab_size, len(stream.tokens))
    for known in stream.profile.validation.tokenizations:
        if (known.vocab_size, known.tokens) == size:
            expected = known.credited_bytes
    if stream.manifest is not None and stream.manifest.val.sha256 == tokens_sha256:
        expected = stream.manifest.val.text_bytes
    if expected is not None and stream.credited_bytes != expected:
        raise Refused(
            "credited-bytes", f"{stream.credited_bytes:,} bytes are credited; this stream is known to have {expected:,}"
        )


def _completeness(stream: ValidationStream, decoded: int, prefixes: PrefixDigests) -> Completeness:
    validation, manifest = stream.profile.validation, stream.manifest
    if validation.documents is not None:
        return compare_text(validation, stream.documents, decoded, prefixes.matched)
    if manifest is not None and manifest.val.document_digests:
        digests = document_digests(stream.tokens, stream.starts)
        return compare_documents(digests, manifest.val.document_digests)
    return Completeness(
        Coverage.UNKNOWN, stream.documents, None, "there is no manifest beside the data to compare with"
    )
