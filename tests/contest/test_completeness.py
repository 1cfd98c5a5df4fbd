from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.contest.completeness import Coverage, PrefixDigests, compare_documents, compare_text
from rules.contest.documents import document_digests, document_starts, stream_digest
from rules.contest.errors import DataError
from rules.contest.profile import TextPrefix, Validation

REFERENCE = ["a", "b", "b", "c"]


@pytest.mark.parametrize(
    ("digests", "coverage"),
    [
        (["a", "b", "b", "c"], Coverage.COMPLETE),
        (["b", "a", "c", "b"], Coverage.REORDERED),
        (["a", "b"], Coverage.PARTIAL),
        (["c", "b"], Coverage.PARTIAL),
        (["a", "b", "cut"], Coverage.PARTIAL),
        (["a", "b", "b", "cut"], Coverage.PARTIAL),
        (["a", "a"], Coverage.PARTIAL),  # the second may be another document, cut
        (["a", "a", "b"], Coverage.UNKNOWN),
        (["x", "b", "b", "c"], Coverage.UNKNOWN),
        (["cut"], Coverage.UNKNOWN),
        (["a", "b", "b", "c", "c"], Coverage.UNKNOWN),
        (["a", "b", "b", "c", "d", "e"], Coverage.UNKNOWN),
    ],
)
def test_documents_are_compared_as_a_multiset_and_in_order(digests: list[str], coverage: Coverage) -> None:
    verdict = compare_documents(digests, REFERENCE)
    assert verdict.coverage is coverage
    assert (verdict.documents, verdict.expected) == (len(digests), 4)


TEXTS = ("one", "two", "three", "four", "five")


def validation() -> Validation:
    prefixes = tuple(
        TextPrefix(documents=n, sha256=hashlib.sha256("".join(TEXTS[:n]).encode()).hexdigest()) for n in (1, 3)
    )
    return Validation(bos_id=1, documents=5, text_bytes=len("".join(TEXTS)), prefixes=prefixes)


@pytest.mark.parametrize(
    ("texts", "coverage", "evidence"),
    [
        (TEXTS, Coverage.COMPLETE, "first 3"),
        (TEXTS[:4], Coverage.PARTIAL, "first 3"),
        (TEXTS[:3], Coverage.PARTIAL, "first 1"),  # the third may be cut
        ((*TEXTS[:4], "fi"), Coverage.PARTIAL, "first 3"),
        ((*TEXTS[:4], "fivefold"), Coverage.UNKNOWN, "23 bytes"),
        ((*TEXTS, "six"), Coverage.UNKNOWN, "larger than"),
        (TEXTS[::-1], Coverage.REORDERED, "another order"),
        (TEXTS[1:], Coverage.UNKNOWN, "not the contest's"),
        (("one",), Coverage.UNKNOWN, "too few"),
    ],
)
def test_a_stream_is_known_by_its_text(texts: tuple[str, ...], coverage: Coverage, evidence: str) -> None:
    reference = validation()
    prefixes = PrefixDigests(reference.prefixes)
    for text in texts:
        prefixes.add(text)
    verdict = compare_text(reference, len(texts), sum(map(len, texts)), prefixes.matched)
    assert verdict.coverage is coverage
    assert evidence in verdict.evidence


def test_a_verdict_reads_as_one_line() -> None:
    assert str(compare_documents(["a"], REFERENCE)).startswith("partial (1 of 4 documents): ")


@settings(derandomize=True, max_examples=50)
@given(st.lists(st.lists(st.integers(2, 9), max_size=4), min_size=1, max_size=6))
def test_documents_partition_the_stream(bodies: list[list[int]]) -> None:
    documents = [np.array([1, *body], np.uint16) for body in bodies]
    tokens = np.concatenate(documents)
    starts = document_starts(tokens, 1)
    assert [part.tolist() for part in np.split(tokens, starts[1:])] == [part.tolist() for part in documents]
    assert document_digests(tokens, starts) == [hashlib.sha256(part.tobytes()).hexdigest()[:32] for part in documents]
    assert stream_digest(tokens) == hashlib.sha256(tokens.tobytes()).hexdigest()


@pytest.mark.parametrize("ids", [[], [5, 1, 5]])
def test_a_stream_begins_with_a_document(ids: list[int]) -> None:
    with pytest.raises(DataError) as refusal:
        document_starts(np.array(ids, np.uint16), 1)
    assert refusal.value.reason == "stream-start"
