"""How many bytes of text each target is credited with: the denominator of bits per byte.

A table per token id, made from the SentencePiece model, gives (systems.md 0.2)::

    bytes(p) = base[y] + (1 if lead[y] and not boundary[x] else 0),   x = tokens[p], y = tokens[p + 1]

The table is a shortcut for "UTF-8 length of the decoded text", and a tokenizer can be built for which it is none: one
without a bare space piece spells each space in three byte pieces and is credited three bytes for it. So the text is
decoded and counted once more (:func:`recount`), document by document, and a table that disagrees is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from sentencepiece import SentencePieceProcessor

from rules.contest.errors import DataError
from rules.contest.shards import Tokens

Bytes = npt.NDArray[np.uint16]
Int64 = npt.NDArray[np.int64]

SPACE: Final = "\u2581"
"""SentencePiece's spelling of a space. Normalised text never holds it, so where decoding yields one it is a space."""

_BLOCK: Final = 1 << 22  # tokens per gather: keeps the temporaries of a 62 M token stream in tens of megabytes
_DECODE_TOKENS: Final = 1 << 20  # tokens per call of the decoder: one batch of strings in memory at a time


@dataclass(frozen=True, slots=True, eq=False)
class ByteTable:
    """Bytes by token id; all arrays have shape ``(65536,)``, so that any uint16 id has an entry.

    Attributes:
        base: uint16; UTF-8 length of the piece without one leading U+2581; 1 for a byte piece; 0 for control, unknown
            and unused pieces and for ids past the tokenizer's vocabulary.
        lead: bool; the piece starts with U+2581.
        boundary: bool; a space after this id is not part of the text: control, unknown, unused, past the vocabulary.
    """

    base: Bytes
    lead: npt.NDArray[np.bool_]
    boundary: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, processor: SentencePieceProcessor) -> ByteTable:
        """The table of a SentencePiece model that :func:`rules.contest.tokenizer.load_tokenizer` accepts."""
        base = np.zeros(1 << 16, np.uint16)
        lead = np.zeros(1 << 16, np.bool_)
        boundary = np.ones(1 << 16, np.bool_)
        for piece_id in range(processor.get_piece_size()):
            if any(test(piece_id) for test in (processor.is_control, processor.is_unknown, processor.is_unused)):
                continue
            boundary[piece_id] = False
            if processor.is_byte(piece_id):
                base[piece_id] = 1
                continue
            piece: str = processor.id_to_piece(piece_id)
            lead[piece_id] = piece.startswith(SPACE)
            base[piece_id] = len(piece.removeprefix(SPACE).encode())
        return cls(base, lead, boundary)

    def credited(self, tokens: Tokens) -> Bytes:
        """Bytes credited to each target of a stream.

        Args:
            tokens: uint16, shape ``(T + 1,)``.

        Returns:
            uint16, shape ``(T,)``, read-only; entry ``p`` belongs to target ``tokens[p + 1]``.
        """
        credited = np.empty(max(len(tokens) - 1, 0), np.uint16)
        for start in range(0, len(credited), _BLOCK):
            block = np.asarray(tokens[start : start + _BLOCK + 1])
            inputs, targets = block[:-1], block[1:]
            credited[start : start + len(targets)] = self.base[targets] + (self.lead[targets] & ~self.boundary[inputs])
        credited.flags.writeable = False
        return credited


def decode_documents(tokens: Tokens, starts: Int64, processor: SentencePieceProcessor) -> Iterator[list[str]]:
    """The text of each document, in stream order, in batches.

    Args:
        tokens: uint16, shape ``(N,)``.
        starts: position of each document's BOS; documents reach to the next start, the last one to the end.
        processor: decodes; a BOS decodes to nothing.

    Raises:
        DataError: ``token-outside-vocabulary``.
    """
    stops = np.append(starts[1:], len(tokens))
    first = 0
    while first < len(starts):
        last = max(int(np.searchsorted(stops, starts[first] + _DECODE_TOKENS, "right")), first + 1)
        documents = [tokens[a:b].tolist() for a, b in zip(starts[first:last], stops[first:last], strict=True)]
        try:
            yield processor.decode(documents, num_threads=1)
        except IndexError:
            raise _outside(tokens, processor.get_piece_size()) from None
        first = last


def _outside(tokens: Tokens, vocab_size: int) -> DataError:
    position = int(np.argmax(np.asarray(tokens) >= vocab_size))
    return DataError(
        "token-outside-vocabulary",
        f"token {tokens[position]} at position {position:,} is past the tokenizer's vocabulary of {vocab_size:,}: "
        "the shards were made with another tokenizer",
    )


def text_bytes(text: str) -> int:
    """UTF-8 length of decoded text, where U+2581 is the one byte of the space that it stands for."""
    return len(text.encode()) - 2 * text.count(SPACE)


def document_bytes(credited: Bytes, starts: Int64) -> Int64:
    """Credited bytes per document, int64, shape of ``starts``.

    The next document's BOS is a document's last target and is credited nothing, so sums between starts are exact.
    """
    inside = starts[starts < len(credited)]  # a BOS that ends the stream is a document without targets
    sums = np.zeros(len(starts), np.int64)
    if len(inside):
        sums[: len(inside)] = np.add.reduceat(credited, inside, dtype=np.int64)
    return sums


def recount(text: str, credited: int, *, document: int, last: bool) -> int:
    """Check one document's credited bytes against its decoded text; returns the text's bytes.

    Args:
        text: the decoded document.
        credited: bytes credited to its targets.
        document: its index, for the message.
        last: the stream ends with it. It may be cut inside a character, which then decodes to U+FFFD per byte.

    Raises:
        DataError: ``byte-recount``.
    """
    counted = text_bytes(text)
    if counted == credited:
        return counted
    if last:
        whole = text.rstrip("\ufffd")
        cut = len(text) - len(whole)
        if cut <= 3 and text_bytes(whole) + cut == credited:
            return credited
    raise DataError(
        "byte-recount",
        f"the tokenizer's byte table credits document {document:,} with {credited:,} bytes, its decoded text has "
        f"{counted:,}: bits per byte would not be per byte of text",
    )
