"""Text whose bytes are hard to count: two toy streams with the bytes that each of their tokens has in UTF-8."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from sentencepiece import SentencePieceProcessor

from auditor.probe.plan import Stream
from auditor.probe.streams import BOS
from auditor.probe.tokenizer import toy_tokenizer
from rules.contest.byte_counts import ByteTable

VOCABULARY = 320
"""Room for all byte pieces."""
_PHRASES = ("abc def", "ñandú", "漢字 かな", "日本 né", "😀 🚀", "ghi  ab", "a   b", "cad hij bee", "jade 日", "ß é")
"""Words, characters that are pieces and characters that fall back to bytes, spaces in a row."""
_DOCUMENT = 12
"""Phrases of a document."""


@dataclass(frozen=True)
class ByteText:
    """A stream of documents.

    Attributes:
        stream: the tokens, and the bytes of each for a sidecar: 0 for BOS.
        bytes: UTF-8 length of the targets' text.
        most: what a count that is off by a harmless convention may come to, such as a document's first space.
    """

    stream: Stream
    bytes: int
    most: int


@cache
def byte_texts(targets: int, tail: int) -> tuple[ByteText, ByteText]:
    """Two texts of ``targets`` predicted tokens.

    Args:
        targets: N.
        tail: how many of the last tokens are letters of one byte, so that it is known what windows count that score
            the end of the stream again.
    """
    model = SentencePieceProcessor(model_proto=toy_tokenizer(VOCABULARY))
    first, second = (_byte_text(model, targets, tail, seed) for seed in (0, 1))
    return first, second


def _byte_text(model: SentencePieceProcessor, targets: int, tail: int, seed: int) -> ByteText:
    source = random.Random(seed)  # noqa: S311 - text, not secrets
    tokens: list[int] = []
    while len(tokens) < targets + 1 - tail:
        tokens += [BOS, *model.encode(" ".join(source.choices(_PHRASES, k=_DOCUMENT)))]
    body = tokens[: targets + 1 - tail]
    while model.is_byte(body[-1]):  # never half a character
        body.pop()
    letters = [model.piece_to_id(letter) for letter in "abcdefghij"]
    stream = np.array([*body, *source.choices(letters, k=targets + 1 - len(body))], np.uint16)
    credited = ByteTable.of(model).credited(stream)
    documents = int(np.count_nonzero(stream == BOS))
    total = int(credited.sum())
    counts: npt.NDArray[np.int64] = np.concatenate([[0], credited]).astype(np.int64)
    return ByteText(Stream(stream, counts), total, total + _CONVENTION * documents)


_CONVENTION = 4
"""Bytes per document that nobody is accused for: BOS spelt out as ``<s>``, and the space that begins the text."""
