"""Where documents begin in a stream, and digests by which streams and documents are told apart."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

from rules.contest.errors import DataError
from rules.contest.shards import Tokens

Int64 = npt.NDArray[np.int64]

DOCUMENT_DIGEST_BYTES: Final = 16
_BLOCK: Final = 1 << 22


def document_starts(tokens: Tokens, bos_id: int) -> Int64:
    """Positions of the BOS that begins each document, int64, ascending.

    Raises:
        DataError: ``stream-start``: the stream is empty or begins inside a document.
    """
    if len(tokens) == 0 or int(tokens[0]) != bos_id:
        found = f"token {int(tokens[0])}" if len(tokens) else "nothing"
        raise DataError("stream-start", f"the stream begins with {found}; each document begins with BOS ({bos_id})")
    starts = [
        np.flatnonzero(np.asarray(tokens[first : first + _BLOCK]) == bos_id) + first
        for first in range(0, len(tokens), _BLOCK)
    ]
    return np.concatenate(starts).astype(np.int64)


def stream_digest(tokens: Tokens) -> str:
    """SHA-256 of the tokens in order, as little-endian uint16 without any header; hexadecimal."""
    digest = hashlib.sha256()
    for first in range(0, len(tokens), _BLOCK):
        digest.update(np.ascontiguousarray(tokens[first : first + _BLOCK], "<u2").data)
    return digest.hexdigest()


def document_digests(tokens: Tokens, starts: Int64) -> list[str]:
    """One digest per document (BOS included), in stream order: SHA-256 cut to 16 bytes, hexadecimal."""
    raw = np.ascontiguousarray(tokens, "<u2").data
    stops = np.append(starts[1:], len(tokens))
    return [
        hashlib.sha256(raw[start:stop]).digest()[:DOCUMENT_DIGEST_BYTES].hex()
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True)
    ]
