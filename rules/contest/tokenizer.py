"""Loading a SentencePiece model together with its digest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sentencepiece import SentencePieceProcessor

from rules.contest.case_operators import OPERATORS
from rules.contest.errors import DataError
from rules.contest.files import read_small

MODEL_LIMIT: Final = 64 << 20
"""A model of 16,384 pieces has about half a megabyte; anything near this limit is not a tokenizer."""

PIECE_LIMIT: Final = 256
"""Bytes of one piece. SentencePiece's own limit is 16 characters; a model with megabytes in a piece is a bomb."""


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A loaded SentencePiece model.

    Attributes:
        path: the file it came from.
        sha256: digest of the very bytes that were loaded, hexadecimal.
        processor: SentencePiece's own processor.
    """

    path: Path
    sha256: str
    processor: SentencePieceProcessor

    @property
    def vocab_size(self) -> int:
        """Number of pieces."""
        return int(self.processor.get_piece_size())

    @property
    def bos_id(self) -> int:
        """Id that begins each document, -1 if the model has none."""
        return int(self.processor.bos_id())

    @property
    def has_case_operators(self) -> bool:
        """Whether text was CaseOps-transformed before this tokenizer saw it."""
        unknown = self.processor.unk_id()
        return all(self.processor.piece_to_id(piece) != unknown for piece in OPERATORS)


def load_tokenizer(path: Path) -> Tokenizer:
    """Load a SentencePiece ``.model`` file.

    Raises:
        DataError: ``tokenizer-*``: the file is missing, not ordinary, too large, no SentencePiece model, or one with
            more pieces than uint16 can tell apart or with an overlong piece.
    """
    content = read_small(path, "tokenizer", MODEL_LIMIT)
    try:
        processor = SentencePieceProcessor(model_proto=content)
        pieces = processor.get_piece_size()
    except (RuntimeError, ValueError) as error:
        raise DataError("tokenizer-invalid", f"{path} is not a SentencePiece model ({error})") from None
    if not 1 <= pieces <= 1 << 16:
        raise DataError("tokenizer-invalid", f"{path} has {pieces:,} pieces; shards can tell 1 to 65,536 apart")
    longest = max(len(processor.id_to_piece(piece).encode()) for piece in range(pieces))
    if longest > PIECE_LIMIT:
        raise DataError("tokenizer-bomb", f"{path} has a piece of {longest:,} bytes; at most {PIECE_LIMIT} are read")
    return Tokenizer(path, hashlib.sha256(content).hexdigest(), processor)
