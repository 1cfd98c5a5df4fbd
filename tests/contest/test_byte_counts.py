from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import sp_models
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor

from rules.contest import byte_counts
from rules.contest.byte_counts import ByteTable, decode_documents, document_bytes, recount
from rules.contest.documents import document_starts
from rules.contest.errors import DataError
from rules.contest.shards import Tokens

HONEST = sp_models.train()


@cache
def honest() -> tuple[SentencePieceProcessor, ByteTable]:
    processor = sp_models.processor_of(HONEST)
    return processor, ByteTable.of(processor)


def recount_all(model: bytes, tokens: Tokens) -> int:
    processor = sp_models.processor_of(model)
    starts = document_starts(tokens, 1)
    per_document = document_bytes(ByteTable.of(processor).credited(tokens), starts)
    texts = [text for batch in decode_documents(tokens, starts, processor) for text in batch]
    assert len(texts) == len(starts)
    return sum(
        recount(text, int(credited), document=i, last=i == len(texts) - 1)
        for i, (text, credited) in enumerate(zip(texts, per_document, strict=True))
    )


def stream(model: bytes, *texts: str) -> Tokens:
    return np.array(sp_models.encode(model, texts), np.uint16)


def test_each_kind_of_piece_has_its_entry() -> None:
    processor, table = honest()
    for control in (0, 1, 2, 3):  # pad, bos, eos, unknown
        assert (table.base[control], table.lead[control], table.boundary[control]) == (0, False, True)
    byte = processor.piece_to_id("<0xE2>")
    assert (table.base[byte], table.lead[byte], table.boundary[byte]) == (1, False, False)
    bare_space = processor.piece_to_id("▁")
    assert (table.base[bare_space], table.lead[bare_space], table.boundary[bare_space]) == (0, True, False)
    word = processor.piece_to_id("▁naïve")
    assert (table.base[word], table.lead[word], table.boundary[word]) == (6, True, False)


def test_ids_past_the_vocabulary_are_boundaries_without_bytes() -> None:
    processor, table = honest()
    assert processor.get_piece_size() < 60_000
    assert not table.base[60_000:].any()
    assert table.boundary[60_000:].all()


def test_unused_pieces_count_nothing() -> None:
    processor = sp_models.processor_of(sp_models.mark_unused(HONEST, "▁naïve"))
    table, word = ByteTable.of(processor), processor.piece_to_id("▁naïve")
    assert processor.is_unused(word)
    assert (table.base[word], table.lead[word], table.boundary[word]) == (0, False, True)


def test_a_space_after_bos_is_not_credited() -> None:
    processor, table = honest()
    the = processor.piece_to_id("▁the")
    assert table.credited(np.array([1, the, the, 1, the], np.uint16)).tolist() == [3, 4, 0, 3]


def test_credits_do_not_depend_on_how_a_stream_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    _, table = honest()
    tokens = stream(HONEST, *sp_models.TEXTS[:9])
    whole = table.credited(tokens)
    for size in (1, 7, len(whole)):
        monkeypatch.setattr(byte_counts, "_BLOCK", size)
        assert np.array_equal(table.credited(tokens), whole)


def test_decoding_does_not_depend_on_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    processor, _ = honest()
    tokens = stream(HONEST, *sp_models.TEXTS[:9])
    starts = document_starts(tokens, 1)
    for size in (1, 50, 10_000):
        monkeypatch.setattr(byte_counts, "_DECODE_TOKENS", size)
        batches = list(decode_documents(tokens, starts, processor))
        assert [text for batch in batches for text in batch] == list(sp_models.TEXTS[:9])


PARTS = st.sampled_from([*"abcdeé 漢字🙂\u0301½\uff21\t\n.09", "the ", " naïve"])
TEXT = st.lists(PARTS, max_size=40).map("".join)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=4))
def test_an_honest_tokenizer_recounts_to_the_normalised_text(texts: list[str]) -> None:
    processor, _ = honest()
    expected = sum(len(processor.decode(processor.encode(text)).encode()) for text in texts)
    assert recount_all(HONEST, stream(HONEST, *texts)) == expected


def test_a_document_without_tokens_has_no_bytes() -> None:
    assert recount_all(HONEST, np.array([1, 1, 1], np.uint16)) == 0


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_a_stream_may_end_inside_a_character(keep: int) -> None:
    tokens = stream(HONEST, "the fox", "the 🙂")
    cut = tokens[: len(tokens) - 4 + keep]
    assert recount_all(HONEST, cut) == len("the fox") + len("the ") + keep


def refused(model: bytes, tokens: Tokens) -> str:
    with pytest.raises(DataError) as refusal:
        recount_all(model, tokens)
    return refusal.value.reason


def test_spaces_spelled_in_three_bytes_are_refused() -> None:
    """The inflation of #755: without a bare space piece most spaces become E2 96 81, credited three bytes."""
    inflating = sp_models.rename_pieces(HONEST, lambda piece: piece.replace("▁", "\u2603"))
    tokens = stream(inflating, "the fox", "the dogs")
    table = ByteTable.of(sp_models.processor_of(inflating))
    assert int(table.credited(tokens).sum()) == len("the fox") + len("the dogs") + 2 * 2
    assert refused(inflating, tokens) == "byte-recount"


def test_unknown_pieces_are_refused() -> None:
    without_bytes = sp_models.train(byte_fallback=False)
    assert recount_all(without_bytes, stream(without_bytes, "the fox")) == len("the fox")
    assert refused(without_bytes, stream(without_bytes, "the ж", "the fox")) == "byte-recount"


def test_spaces_inside_pieces_are_refused() -> None:
    """A U+2581 that does not lead its piece is credited three bytes for a space."""
    across = sp_models.rename_pieces(HONEST, lambda piece: "r▁quick" if piece == "▁quick" else piece)
    piece = sp_models.processor_of(across).piece_to_id("r▁quick")
    tokens = np.array([1, piece, 1, piece], np.uint16)
    assert ByteTable.of(sp_models.processor_of(across)).credited(tokens)[0] == len("r quick") + 2
    assert refused(across, tokens) == "byte-recount"


def test_errors_that_cancel_between_documents_are_still_refused() -> None:
    with pytest.raises(DataError, match=r"document 1 with 3 bytes, its decoded text has 2"):
        recount("ab", 3, document=1, last=False)


def test_a_token_past_the_vocabulary_is_refused() -> None:
    size = sp_models.processor_of(HONEST).get_piece_size()
    tokens = np.array([1, 5, size, 5], np.uint16)
    assert refused(HONEST, tokens) == "token-outside-vocabulary"
