"""The text whose bytes are counted: what it has in UTF-8 is what the contest's own table says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sentencepiece import SentencePieceProcessor

from auditor.findings import Condition, RuleResult, Severity, Status
from auditor.probe.byte_account import is_open
from auditor.probe.byte_text import VOCABULARY, byte_texts
from auditor.probe.streams import BOS
from auditor.probe.tokenizer import toy_tokenizer

TARGETS, TAIL = 256, 64


@pytest.fixture(scope="module")
def model() -> SentencePieceProcessor:
    return SentencePieceProcessor(model_proto=toy_tokenizer(VOCABULARY))


def documents(tokens: list[int]) -> list[list[int]]:
    starts = [place for place, token in enumerate(tokens) if token == BOS] + [len(tokens)]
    return [tokens[a + 1 : b] for a, b in itertools.pairwise(starts)]


def test_bytes_are_those_of_the_decoded_documents(model: SentencePieceProcessor) -> None:
    first, second = byte_texts(TARGETS, TAIL)
    assert not np.array_equal(first.stream.tokens, second.stream.tokens)
    for text in (first, second):
        tokens = text.stream.tokens.tolist()
        assert tokens[0] == BOS
        decoded = [model.decode(document) for document in documents(tokens)]
        assert "\ufffd" not in "".join(decoded)
        assert text.bytes == sum(len(document.encode()) for document in decoded)
        assert text.stream.bytes is not None
        assert text.bytes == int(text.stream.bytes.sum())


def test_the_text_has_what_tables_get_wrong(model: SentencePieceProcessor) -> None:
    for text in byte_texts(TARGETS, TAIL):
        tokens = text.stream.tokens[:-TAIL].tolist()
        decoded = "".join(model.decode(document) for document in documents(tokens))
        assert any(model.is_byte(token) for token in tokens)
        assert "  " in decoded
        assert any(len(char.encode()) == 3 for char in decoded)
        assert any(len(char.encode()) == 4 for char in decoded)
        tail = [model.id_to_piece(token) for token in text.stream.tokens[-TAIL:].tolist()]
        assert all(len(piece.encode()) == 1 for piece in tail)


def test_no_piece_has_two_spaces(model: SentencePieceProcessor) -> None:
    assert not any(model.id_to_piece(piece).count("\u2581") > 1 for piece in range(VOCABULARY))


@pytest.mark.parametrize(
    ("status", "facts", "expected"),
    [
        (Status.CLEAR, {"implied_bytes": {"a.log": 151078222}}, False),
        (Status.CLEAR, {"implied_bytes": {}}, True),
        (Status.SUSPECTED, {"implied_bytes": {"a.log": 178000000}}, True),
        (Status.NOT_APPLICABLE, {}, False),
    ],
)
def test_logs_whose_arithmetic_is_right_need_no_run(status: Status, facts: dict[str, object], expected: bool) -> None:
    result = RuleResult("bpb-denominator", Condition.BYTES, Severity.VIOLATION, status, facts=facts)
    assert is_open([result]) is expected
