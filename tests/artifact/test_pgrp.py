"""Per-group containers: the format with a stand-in for lrzip, and with the program itself where it is installed."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import storing_lrzip
from damage import LIMITS, assert_cuts_are_refused, flip_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from test_corrections import check, model

from evaluator.artifact import decode, lrzip, pgrp, row_order
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.artifact.families import pgrp as family
from evaluator.refusal import Refused

JAILED_PATH = "/usr/bin:/bin"


@pytest.fixture
def storer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``lrzip`` on the path is a program that stores."""
    monkeypatch.setenv("PATH", f"{storing_lrzip.install(tmp_path / 'bin')}:{os.environ['PATH']}")


@pytest.mark.usefixtures("storer")
def test_a_grouped_container_with_every_correction() -> None:
    check(family.write(model()), model(), "pgrp")
    check(family.write(model(), 2), model(), "pgrp")


@pytest.mark.usefixtures("storer")
def test_the_layout_is_the_one_of_the_records() -> None:
    """Nine streams; the groups in their order, transposed, rows of three groups reordered."""
    data = family.write(model())
    count, *lengths = struct.unpack("<10I", data[4:44])
    assert (data[:4], count) == (b"PGRP", 9)
    assert sum(lengths) == len(data) - 44
    assert [bool(length) for length in lengths] == [True, False, True, False, False, True, False, True, True]
    codes = model()["blocks.1.attn.c_q.weight"].codes  # type: ignore[union-attr]
    start = 44 + lengths[0]
    stream = data[start : start + lengths[2]]
    assert stream[:4] == b"LRZI"
    stored = np.frombuffer(stream[24:][64:], np.int8).reshape(8, 8).T
    np.testing.assert_array_equal(stored, codes[row_order.similar_rows(codes)])


@pytest.mark.usefixtures("storer")
def test_cut_and_damaged_containers_are_refused() -> None:
    data = family.write(model())
    assert_cuts_are_refused(data, 8, 97)
    assert flip_bits(data, 4, 60, seed=3)


def _header(size: int, *, encrypted: bool = False) -> bytes:
    return b"LRZI\0\6" + size.to_bytes(8, "little") + bytes(8) + bytes([encrypted, 0])


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (_header(1 << 40) + b"x", "bomb"),
        (_header(1, encrypted=True) + b"x", "corrupt"),
        (b"LRZI", "corrupt"),
        (b"\x28\xb5\x2f\xfd" * 8, "corrupt"),
        (_header(9) + b"x", "corrupt"),
    ],
)
@pytest.mark.usefixtures("storer")
def test_streams_that_are_refused(stream: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        lrzip.decompress(stream, 1 << 20)
    assert refused.value.reason == reason


def test_a_row_order_that_loses_rows_is_refused() -> None:
    with pytest.raises(Refused, match="bad-permutation"):
        row_order.restore("a", bytes(6), 3, 2, np.array([0, 0, 2], np.uint16))


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 1 << 20))
def test_rows_come_back_in_their_own_order(rows: int, columns: int, seed: int) -> None:
    codes = np.random.default_rng(seed).integers(-31, 32, (rows, columns), dtype=np.int8)
    order = row_order.similar_rows(codes)
    assert order[0] == 0
    np.testing.assert_array_equal(row_order.restore("a", row_order.store(codes, order), rows, columns, order), codes)
    np.testing.assert_array_equal(row_order.restore("a", row_order.store(codes, None), rows, columns, None), codes)


def test_similar_rows_lie_together() -> None:
    codes = np.array([[0, 0], [9, 9], [1, 1], [8, 8]], np.int8)
    assert row_order.similar_rows(codes).tolist() == [0, 2, 3, 1]


def test_without_the_program_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Refused) as refused:
        lrzip.decompress(_header(1) + b"x", 1 << 20)
    assert refused.value.reason == "lrzip-missing"
    assert "install" in refused.value.message


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(Refused, match="unsupported-version"):
        decode_bytes(pgrp.MAGIC + struct.pack("<I", 5) + bytes(40), LIMITS)


def test_the_jail_runs_lrzip_itself(tmp_path: Path) -> None:
    if shutil.which("lrzip", path=JAILED_PATH) is None:
        pytest.skip("the program lrzip is not installed")
    path = tmp_path / "artifact.ptz"
    path.write_bytes(family.write(model()))
    decoded = decode(path, tmp_path)
    assert decoded.family == "pgrp"
    assert decoded.shapes["blocks.1.attn.c_q.weight"] == (8, 8)


@pytest.mark.usefixtures("storer")
def test_the_jail_has_no_program_but_the_systems(tmp_path: Path) -> None:
    """A program on the caller's path is not run; with the real one installed, its stand-in's streams are corrupt."""
    path = tmp_path / "artifact.ptz"
    path.write_bytes(family.write(model()))
    with pytest.raises(Refused) as refused:
        decode(path, tmp_path)
    assert refused.value.reason == ("corrupt" if shutil.which("lrzip", path=JAILED_PATH) else "lrzip-missing")
