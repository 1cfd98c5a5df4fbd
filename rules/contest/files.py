"""Opening a file that others wrote: an ordinary file of a sane size, or one clear line saying why not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rules.contest.errors import DataError


def require_regular(path: Path, kind: str) -> int:
    """Size of ``path`` in bytes, checked *before* it is opened: opening a FIFO would wait for ever.

    Args:
        path: the file; symbolic links are followed, because download caches are made of them.
        kind: what the file is, such as ``"shard"``; it starts the reason.

    Raises:
        DataError: ``KIND-missing``, ``KIND-not-a-file`` or ``KIND-unreadable``.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DataError(f"{kind}-missing", f"{path}: no such file") from None
    except OSError as error:
        raise DataError(f"{kind}-unreadable", f"{path}: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode):
        raise DataError(f"{kind}-not-a-file", f"{path} is not an ordinary file")
    if not os.access(path, os.R_OK):
        raise DataError(f"{kind}-unreadable", f"{path}: permission denied")
    return status.st_size


def read_small(path: Path, kind: str, limit: int) -> bytes:
    """The whole of a file that is at most ``limit`` bytes long.

    Raises:
        DataError: as :func:`require_regular`, or ``KIND-too-large``.
    """
    size = require_regular(path, kind)
    if size > limit:
        raise DataError(f"{kind}-too-large", f"{path} has {size:,} bytes; at most {limit:,} are read")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{kind}-unreadable", f"{path}: {error.strerror}") from None
