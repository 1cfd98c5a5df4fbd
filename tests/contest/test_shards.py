from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.contest.errors import DataError
from rules.contest.shards import concatenate, find_shards, read_shard, shard_path, write_shard


@settings(derandomize=True, max_examples=30)
@given(st.lists(st.integers(0, 65535), max_size=50))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, ids: list[int]) -> None:
    path = tmp_path_factory.mktemp("shard") / "fineweb_val_000000.bin"
    write_shard(path, np.array(ids, np.int64))
    tokens = read_shard(path)
    assert tokens.tolist() == ids
    assert tokens.dtype == np.uint16
    assert path.stat().st_size == 1024 + 2 * len(ids)


def test_layout_is_the_published_one(tmp_path: Path) -> None:
    path = tmp_path / "s.bin"
    write_shard(path, [1, 258])
    data = path.read_bytes()
    assert data[:12] == (20240520).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(4, "little")
    assert not any(data[12:1024])
    assert data[1024:] == b"\x01\x00\x02\x01"


def test_a_mapped_shard_cannot_be_written(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.bin", [1, 2])
    with pytest.raises(ValueError, match="read-only"):
        read_shard(tmp_path / "s.bin")[0] = 3


@pytest.mark.parametrize("ids", [[-1], [65536], [[1, 2]]])
def test_ids_that_do_not_fit_are_not_written(tmp_path: Path, ids: list[int]) -> None:
    with pytest.raises(ValueError, match=r"uint16|one row"):
        write_shard(tmp_path / "s.bin", ids)


def shard_bytes(magic: int = 20240520, version: int = 1, count: int = 4, tokens: int = 4) -> bytes:
    header = np.zeros(256, "<i4")
    header[:3] = magic, version, count
    return header.tobytes() + bytes(2 * tokens)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "shard-truncated"),
        (shard_bytes()[:1023], "shard-truncated"),
        (shard_bytes(tokens=3), "shard-truncated"),
        (shard_bytes()[:-1], "shard-truncated"),
        (shard_bytes(tokens=5), "shard-trailing-bytes"),
        (shard_bytes() + b"x", "shard-trailing-bytes"),
        (shard_bytes(magic=20240521), "shard-magic"),
        (shard_bytes(version=2), "shard-version"),
        (shard_bytes(count=-1), "shard-count"),
        (shard_bytes(count=2**31 - 1), "shard-truncated"),
    ],
)
def test_a_file_that_is_not_what_its_header_says_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "s.bin"
    path.write_bytes(content)
    with pytest.raises(DataError) as refusal:
        read_shard(path)
    assert refusal.value.reason == reason
    assert "\n" not in refusal.value.message


def test_what_is_no_ordinary_file_is_refused_without_opening_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, reason in {"fifo": "shard-not-a-file", ".": "shard-not-a-file", "absent": "shard-missing"}.items():
        with pytest.raises(DataError) as refusal:
            read_shard(tmp_path / name)
        assert refusal.value.reason == reason


def test_shards_are_found_in_order_without_sidecars_and_other_splits(tmp_path: Path) -> None:
    names = ["fineweb_val_000001.bin", "fineweb_val_000000.bin", "fineweb_val_bytes_000000.bin"]
    for name in [*names, "fineweb_train_000000.bin", "fineweb_val_000000.bin.part"]:
        (tmp_path / name).touch()
    assert [p.name for p in find_shards(tmp_path, "val")] == ["fineweb_val_000000.bin", "fineweb_val_000001.bin"]
    assert find_shards(tmp_path, "train") == (shard_path(tmp_path, "train"),)


def test_no_data_is_refused(tmp_path: Path) -> None:
    for folder, reason in ((tmp_path, "no-shards"), (tmp_path / "absent", "data-missing")):
        with pytest.raises(DataError) as refusal:
            find_shards(folder, "val")
        assert refusal.value.reason == reason


def test_several_shards_make_one_read_only_stream(tmp_path: Path) -> None:
    for index, ids in enumerate(([1, 2, 3], [4], [])):
        write_shard(shard_path(tmp_path, "val", index), np.array(ids, np.int64))
    stream = concatenate([read_shard(path) for path in find_shards(tmp_path, "val")])
    assert stream.tolist() == [1, 2, 3, 4]
    assert not stream.flags.writeable
