"""Shards of tokens, in the format of the contest's published data.

A shard is a header of 256 little-endian int32 words (``20240520``, ``1``, the token count, then zeros) followed by that
many little-endian uint16 token ids, and nothing else. A split (``train`` or ``val``) is the concatenation of its shards
``fineweb_SPLIT_*.bin`` in sorted order.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from rules.contest.errors import DataError
from rules.contest.files import require_regular

Tokens = npt.NDArray[np.uint16]
Split = Literal["train", "val"]

MAGIC: Final = 20240520
VERSION: Final = 1
HEADER_BYTES: Final = 1024
SIDECAR_MARK: Final = "_bytes_"
"""Part of the name of a byte sidecar, which the pattern of the val shards matches as well."""


def shard_path(folder: Path, split: Split, index: int = 0) -> Path:
    """The conventional name of shard ``index`` of a split."""
    return folder / f"fineweb_{split}_{index:06d}.bin"


def find_shards(folder: Path, split: Split) -> tuple[Path, ...]:
    """The shards of a split in stream order, byte sidecars left out.

    Raises:
        DataError: ``data-missing`` (no such folder) or ``no-shards``.
    """
    if not folder.is_dir():
        raise DataError("data-missing", f"{folder} is not a folder")
    shards = sorted(p for p in folder.glob(f"fineweb_{split}_*.bin") if SIDECAR_MARK not in p.name)
    if not shards:
        raise DataError("no-shards", f"{folder} holds no shard fineweb_{split}_*.bin")
    return tuple(shards)


def read_shard(path: Path) -> Tokens:
    """The tokens of one shard, uint16 ``(count,)``: memory-mapped, read-only.

    Raises:
        DataError: ``shard-*``: the file is missing, not ordinary, or is not what its header says.
    """
    size = require_regular(path, "shard")
    if size < HEADER_BYTES:
        raise DataError("shard-truncated", f"{path} has {size} bytes, fewer than the header's {HEADER_BYTES}")
    magic, version, count = (int(word) for word in np.fromfile(path, "<i4", 3))
    if magic != MAGIC:
        raise DataError("shard-magic", f"{path} is not a shard: its first word is {magic}, not {MAGIC}")
    if version != VERSION:
        raise DataError("shard-version", f"{path} has version {version}; only {VERSION} is known")
    if count < 0:
        raise DataError("shard-count", f"{path}: its header claims {count} tokens")
    expected = HEADER_BYTES + 2 * count
    if size != expected:
        reason = "shard-truncated" if size < expected else "shard-trailing-bytes"
        raise DataError(reason, f"{path} has {size:,} bytes; {count:,} tokens take {expected:,}")
    if count == 0:
        return np.empty(0, np.uint16)
    return np.memmap(path, "<u2", mode="r", offset=HEADER_BYTES, shape=(count,))


def concatenate(shards: Sequence[Tokens]) -> Tokens:
    """One stream of several shards. A single shard stays mapped; more are copied into one read-only array."""
    if len(shards) == 1:
        return shards[0]
    stream = np.concatenate(shards)
    stream.flags.writeable = False
    return stream


def write_shard(path: Path, tokens: npt.ArrayLike) -> None:
    """Write one shard.

    Args:
        path: where to.
        tokens: integer ids, shape ``(count,)``.

    Raises:
        ValueError: ``tokens`` is not one-dimensional or holds an id that uint16 cannot.
    """
    ids = np.asarray(tokens)
    if ids.ndim != 1:
        raise ValueError(f"a shard is one row of tokens, not an array of shape {ids.shape}")
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) <= np.iinfo(np.uint16).max:
        raise ValueError("a token id does not fit uint16")
    header = np.zeros(HEADER_BYTES // 4, "<i4")
    header[:3] = MAGIC, VERSION, len(ids)
    with path.open("wb") as file:
        file.write(header.tobytes())
        file.write(ids.astype("<u2").tobytes())
