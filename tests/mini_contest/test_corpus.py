from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_contest.corpus import SMALLEST_DOCUMENT, build_corpus, docstrings, documents, sources, split


def paragraph(letter: str, words: int = 60) -> str:
    return " ".join([letter * 4] * words)


def test_sources_leave_out_what_documents_nothing() -> None:
    names = [source.name for source in sources()]
    assert "file json/decoder.py" in names
    assert any(name.startswith("topic ") for name in names)
    assert len(set(names)) == len(names)
    parts = {part for name in names for part in name.removeprefix("file ").split("/")}
    assert parts.isdisjoint({"test", "tests", "idlelib", "lib2to3", "site-packages", "ensurepip"})


def test_a_fraction_is_a_part_of_the_whole_and_of_every_larger_fraction() -> None:
    tenth, half, whole = ([source.name for source in sources(share)] for share in (0.1, 0.5, 1.0))
    assert set(tenth) < set(half) < set(whole)
    assert 0.05 < len(tenth) / len(whole) < 0.15


def test_docstrings_are_read_without_running_the_file(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        '"""Module \\d."""\nraise SystemExit\nclass A:\n    """Class."""\n    def f(self):\n        """Method."""\n'
    )
    assert docstrings(path) == "Module \\d.\n\nClass.\n\nMethod."


@pytest.mark.parametrize("content", [b"def broken(:", b"# -*- coding: no-such -*-\n", b"\x00"])
def test_a_file_that_does_not_parse_has_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.py"
    path.write_bytes(content)
    assert docstrings(path) == ""


def test_documents_are_whole_paragraphs_up_to_a_length() -> None:
    paragraphs = [paragraph(letter) for letter in "abcde"]
    made = list(documents(["\n\n".join(paragraphs)], 2 * len(paragraphs[0]) + 1))
    assert made == [" ".join(paragraphs[0:2]), " ".join(paragraphs[2:4]), paragraphs[4]]


def test_a_paragraph_counts_once_wherever_it_stands() -> None:
    same, other = paragraph("a"), paragraph("b")
    assert list(documents([f"{same}\n\n{other}", f"{other}\n\n{same}"], 10_000)) == [f"{same} {other}"]


def test_what_is_left_over_is_dropped_when_it_is_short() -> None:
    assert list(documents(["x" * (SMALLEST_DOCUMENT - 2), "y" * SMALLEST_DOCUMENT], 1000)) == ["y" * SMALLEST_DOCUMENT]


@settings(derandomize=True, max_examples=50)
@given(st.sets(st.text(max_size=8), max_size=30), st.floats(0, 1))
def test_a_split_keeps_every_document_once_and_depends_on_their_texts_only(texts: set[str], share: float) -> None:
    corpus = split(sorted(texts), share)
    assert sorted(corpus.train + corpus.val) == sorted(texts)
    assert split(sorted(texts, reverse=True), share) == corpus
    for text in texts:
        assert (text in corpus.val) == (split([text], share).val == (text,))


def test_reading_reports_how_far_it_is() -> None:
    chosen = sources(0.02)
    seen: list[tuple[int, int]] = []
    build_corpus(chosen, 3000, 0.12, lambda done, total: seen.append((done, total)))
    assert seen == [(number, len(chosen)) for number in range(1, len(chosen) + 1)]
