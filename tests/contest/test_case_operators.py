from __future__ import annotations

import json
import lzma
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.contest.case_operators import plain_text
from rules.contest.tokenizer import load_tokenizer

TITLE, UPPER, CAPITAL, ESCAPE = "\ue001", "\ue002", "\ue003", "\ue004"


def case_ops(text: str) -> str:
    """The transform as systems.md 5.3 states it."""

    def run(letters: re.Match[str]) -> str:
        word = letters[0]
        if len(word) >= 2 and word.isupper():
            return UPPER + word.lower()
        first = TITLE + word[0].lower() if word[0].isupper() else word[0]
        return first + "".join(CAPITAL + letter.lower() if letter.isupper() else letter for letter in word[1:])

    return re.sub("[A-Za-z]+", run, re.sub(f"[{TITLE}-{ESCAPE}]", lambda found: ESCAPE + found[0], text))


@pytest.mark.parametrize(
    ("text", "original"),
    [
        ("plain", "plain"),
        (f"{TITLE}hello {UPPER}nasa i{CAPITAL}phone {TITLE}a", "Hello NASA iPhone A"),
        (f"{ESCAPE}{TITLE}x {ESCAPE}{ESCAPE}{UPPER}yy", f"{TITLE}x {ESCAPE}YY"),
        (f"{TITLE}naïve {UPPER}na{TITLE}é", "Naïve NAé"),
        (f"cut {ESCAPE}", "cut "),
    ],
)
def test_operators_are_applied(text: str, original: str) -> None:
    assert plain_text(text) == original


@settings(derandomize=True, max_examples=300)
@given(st.text(st.sampled_from(f"abXYZ é3{TITLE}{UPPER}{CAPITAL}{ESCAPE}")))
def test_the_transform_is_undone(text: str) -> None:
    assert plain_text(case_ops(text)) == text


def test_real_text_decodes_to_the_same_through_both_tokenizers(real_data: Path) -> None:
    with lzma.open(real_data / "fineweb_docs_200.jsonl.xz") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    plain = load_tokenizer(real_data / "fineweb_8192_bpe.model")
    cased = load_tokenizer(real_data / "fineweb_8192_bpe_caseops.model")
    assert cased.has_case_operators
    assert not plain.has_case_operators
    ids = cased.processor.encode([case_ops(text) for text in texts], num_threads=1)
    assert sum(map(len, ids)) == 489_963
    decoded = [plain_text(text) for text in cased.processor.decode(ids, num_threads=1)]
    assert decoded == plain.processor.decode(plain.processor.encode(texts, num_threads=1), num_threads=1)
