"""Small SentencePiece models for tests: trained on the spot, or damaged by hand in their serialized form."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from rules.contest.shards import shard_path, write_shard

SENTENCE = "the quick brown fox jumps over lazy dogs while seven naïve wizards 漢字 measure 12 of 345 £ boxes"
WORDS = SENTENCE.split()
TEXTS = tuple(" ".join(WORDS[(i * k) % len(WORDS)] for i in range(1, 30)) for k in range(1, 120))


def train(texts: Sequence[str] = TEXTS, vocab_size: int = 400, **options: Any) -> bytes:
    """A model with the contest's trainer settings, save what ``options`` change."""
    settings: dict[str, Any] = {
        "model_type": "bpe",
        "hard_vocab_limit": False,
        "character_coverage": 0.999,
        "byte_fallback": True,
        "split_digits": True,
        "normalization_rule_name": "nmt_nfkc",
        "add_dummy_prefix": False,
        "pad_id": 0,
        "bos_id": 1,
        "eos_id": 2,
        "unk_id": 3,
        "num_threads": 1,
        "minloglevel": 2,
    }
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, vocab_size=vocab_size, **settings | options
    )
    return model.getvalue()


def processor_of(model: bytes) -> SentencePieceProcessor:
    return SentencePieceProcessor(model_proto=model)


def rename_pieces(model: bytes, rename: Callable[[str], str]) -> bytes:
    """Rename the pieces of a serialized ModelProto: its field 1 is a piece, whose own field 1 is the name."""
    return _edit(model, lambda piece: _edit(piece, lambda name: rename(name.decode()).encode()))


def mark_unused(model: bytes, name: str) -> bytes:
    """Give the piece ``name`` the type UNUSED (field 3, value 5; of a repeated scalar field the last one counts)."""
    name_field = _field(_FIELD_1, name.encode())
    return _edit(model, lambda piece: piece + b"\x18\x05" if piece.startswith(name_field) else piece)


_FIELD_1 = 1 << 3 | 2


def _edit(message: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    return b"".join(_field(tag, edit(payload)) if tag == _FIELD_1 else raw for tag, payload, raw in _fields(message))


def _fields(message: bytes) -> list[tuple[int, bytes, bytes]]:
    """(tag, payload, the whole field as it stands) of each field of a protobuf message."""
    fields, at = [], 0
    while at < len(message):
        start = at
        tag, at = _varint(message, at)
        match tag & 7:
            case 0:
                _, stop = _varint(message, at)
            case 1:
                stop = at + 8
            case 2:
                length, at = _varint(message, at)
                stop = at + length
            case 5:
                stop = at + 4
            case kind:
                raise AssertionError(f"wire type {kind}")
        fields.append((tag, message[at:stop], message[start:stop]))
        at = stop
    return fields


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _field(tag: int, payload: bytes) -> bytes:
    return _encoded(tag) + _encoded(len(payload)) + payload


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def encode(model: bytes, texts: Sequence[str]) -> list[int]:
    """The stream of ``texts``: each document is BOS (1) and its tokens."""
    return [token for document in processor_of(model).encode(list(texts)) for token in (1, *document)]


def write_contest(folder: Path, model: bytes, texts: Sequence[str], *, shards: int = 1) -> Path:
    """A data folder of ``texts`` with its tokenizer ``tokenizer.model``; returns the tokenizer's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, part in enumerate(np.array_split(np.array(encode(model, texts)), shards)):
        write_shard(shard_path(folder, "val", index), part)
    tokenizer = folder / "tokenizer.model"
    tokenizer.write_bytes(model)
    return tokenizer
