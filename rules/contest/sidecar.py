"""Byte sidecars: the bytes of the *original* text per token, for tokenizers whose pieces are not the text.

CaseOps (systems.md 5.3) puts operators into the tokens, so a table made from the pieces would credit bytes that no text
has. Its data therefore carry ``fineweb_val_bytes_NNNNNN.bin`` beside each shard: the same format, one uint16 per token,
the byte count of target ``i + 1`` at ``side[i + 1]``; BOS and operators are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rules.contest.byte_counts import Bytes, Int64
from rules.contest.errors import DataError
from rules.contest.shards import SIDECAR_MARK, Split, concatenate, read_shard


def sidecar_path(shard: Path, split: Split) -> Path:
    """Where the sidecar of ``shard`` lies."""
    return shard.with_name(shard.name.replace(f"fineweb_{split}_", f"fineweb_{split}{SIDECAR_MARK}", 1))


def read_sidecar(shards: Sequence[Path], split: Split, starts: Int64) -> Bytes | None:
    """Bytes credited to each target by the sidecars of ``shards``.

    Args:
        shards: the shards of the split, in stream order.
        split: which split they belong to.
        starts: positions of the BOS of each document in the stream.

    Returns:
        uint16, shape ``(T,)``, or None where no shard has a sidecar.

    Raises:
        DataError: ``sidecar-missing`` (some shards have one), ``sidecar-length``, ``sidecar-bos``, or what
            :func:`~rules.contest.shards.read_shard` raises.
    """
    paths = [sidecar_path(shard, split) for shard in shards]
    missing = [path.name for path in paths if not path.exists()]
    if len(missing) == len(paths):
        return None
    if missing:
        raise DataError("sidecar-missing", f"{len(missing)} of {len(paths)} shards have no sidecar: {missing[0]}")
    parts = []
    for shard, path in zip(shards, paths, strict=True):
        side, count = read_shard(path), len(read_shard(shard))
        if len(side) != count:
            raise DataError("sidecar-length", f"{path} has {len(side):,} counts for {count:,} tokens")
        parts.append(side)
    stream = concatenate(parts)
    credited_bos = starts[np.asarray(stream[starts]) != 0]
    if len(credited_bos):
        position = int(credited_bos[0])
        raise DataError(
            "sidecar-bos",
            f"the sidecar counts {int(stream[position])} bytes for the BOS at position {position:,}: it is not aligned",
        )
    return stream[1:]
