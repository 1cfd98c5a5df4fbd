"""Artifacts under the tags RANS, BROT and LZMA."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from artifact_controls import EXPECTED, TENSORS
from damage import LIMITS, assert_cuts_are_refused, flip_bits
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaluator.artifact import codecs, decode, rans, tagged, torch_zip
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.artifact.entries import split
from evaluator.refusal import Refused

TAGS: tuple[Literal["RANS", "BROT", "LZMA"], ...] = ("RANS", "BROT", "LZMA")


def artifact(tag: Literal["RANS", "BROT", "LZMA"]) -> bytes:
    stored, schemes = split(TENSORS)
    return tagged.compress(torch_zip.write({"w": stored, "m": schemes}), tag)


@pytest.mark.parametrize("tag", TAGS)
def test_a_tagged_artifact_decodes(tag: Literal["RANS", "BROT", "LZMA"]) -> None:
    facts, tensors = decode_bytes(artifact(tag), LIMITS)
    assert (facts["codec"], facts["family"]) == (tagged.codec(tag.encode()), "wm")
    assert tensors.keys() == EXPECTED.keys()
    for name, values in EXPECTED.items():
        np.testing.assert_array_equal(tensors[name], values)


def test_the_jail_decodes_rans(tmp_path: Path) -> None:
    path = tmp_path / "artifact.ptz"
    path.write_bytes(artifact("RANS"))
    assert decode(path, tmp_path).codec == "rans"


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=400), st.sampled_from(TAGS))
@example(b"a" * 300, "RANS")
@example(bytes(range(256)) * 3, "RANS")
def test_any_bytes_come_back(data: bytes, tag: Literal["RANS", "BROT", "LZMA"]) -> None:
    assert tagged.decompress(tagged.compress(data, tag), len(data) + 8) == data


def test_rans_comes_near_the_entropy() -> None:
    symbols = np.random.default_rng(0).normal(0, 4, 20_000).round().astype(np.int8)
    _, counts = np.unique(symbols, return_counts=True)
    share = counts / counts.sum()
    entropy = -(share * np.log2(share)).sum() * len(symbols) / 8
    assert entropy <= len(rans.encode(symbols, rans.scaled_frequencies(symbols))) < 1.001 * entropy + 8


@pytest.mark.parametrize("tag", TAGS)
def test_cut_and_damaged_files_are_refused(tag: Literal["RANS", "BROT", "LZMA"]) -> None:
    data = artifact(tag)
    assert_cuts_are_refused(data, 4, 211)
    assert flip_bits(data, 4, 60, seed=5)


def header(size: int, symbols: int, entries: int) -> bytes:
    return b"RANS" + b"".join(number.to_bytes(4, "little") for number in (size, symbols, entries))


ONE = b"\x00" + (1 << 16).to_bytes(4, "little")
FIRST = (1 << 23).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (header(1 << 31, 1 << 31, 1) + ONE + FIRST, "bomb"),
        (header(9, 8, 1) + ONE + FIRST, "corrupt"),
        (header(9, 9, 0) + FIRST, "corrupt"),
        (header(9, 9, 257) + ONE * 257 + FIRST, "corrupt"),
        (header(9, 9, 1) + b"\x00" + bytes(4) + FIRST, "corrupt"),
        (header(9, 9, 2) + ONE * 2 + FIRST, "corrupt"),
        (header(9, 9, 1) + ONE + FIRST[:3], "truncated"),
        (header(9, 9, 1) + ONE + b"x" + FIRST, "corrupt"),
        (header(9, 9, 1) + ONE[:3], "truncated"),
        (b"BROT" + codecs.compress(b"abcd", "brotli"), "bad-shuffle"),
        (b"BROT" + codecs.compress(b"abcd\x04", "brotli"), "bad-shuffle"),
        (b"LZMA" + b"abc", "truncated"),
        (b"LZMA" + b"once upon a time", "corrupt"),
    ],
)
def test_headers_that_lie(data: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        tagged.decompress(data, 1 << 20)
    assert refused.value.reason == reason
