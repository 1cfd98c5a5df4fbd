from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rules.contest.documents import document_starts
from rules.contest.errors import DataError
from rules.contest.shards import find_shards, shard_path, write_shard
from rules.contest.sidecar import read_sidecar, sidecar_path

TOKENS = ([1, 9, 8, 7], [1, 6, 5])
SIDES = ([0, 3, 0, 2], [0, 1, 4])


def data(folder: Path, sides: tuple[list[int], ...] = SIDES) -> tuple[Path, ...]:
    for index, tokens in enumerate(TOKENS):
        write_shard(shard_path(folder, "val", index), tokens)
    shards = find_shards(folder, "val")
    for shard, side in zip(shards, sides, strict=False):
        write_shard(sidecar_path(shard, "val"), side)
    return shards


def starts() -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return document_starts(np.concatenate([np.array(part, np.uint16) for part in TOKENS]), 1)


def test_the_count_of_a_target_is_the_one_at_its_own_place(tmp_path: Path) -> None:
    credited = read_sidecar(data(tmp_path), "val", starts())
    assert credited is not None
    assert credited.tolist() == [3, 0, 2, 0, 1, 4]
    assert sidecar_path(tmp_path / "fineweb_val_000001.bin", "val").name == "fineweb_val_bytes_000001.bin"


def test_data_without_sidecars_have_none(tmp_path: Path) -> None:
    assert read_sidecar(data(tmp_path, ()), "val", starts()) is None


@pytest.mark.parametrize(
    ("sides", "reason"),
    [
        (SIDES[:1], "sidecar-missing"),
        ((SIDES[0], [0, 1]), "sidecar-length"),
        (([3, 0, 2, 0], [1, 4, 0]), "sidecar-bos"),
    ],
)
def test_sidecars_that_do_not_fit_are_refused(tmp_path: Path, sides: tuple[list[int], ...], reason: str) -> None:
    with pytest.raises(DataError) as refusal:
        read_sidecar(data(tmp_path, sides), "val", starts())
    assert refusal.value.reason == reason
