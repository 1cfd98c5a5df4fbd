"""The artifact as a file: read once, within bounds, or refused without touching its content."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from evaluator.artifact.codecs import refuse_unsupported
from evaluator.refusal import Refused

_KINDS: Final = {
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "FIFO",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFSOCK: "socket",
}
_LFS: Final = b"version https://git-lfs.github.com/spec/"
_TEXT_PROBE: Final = 4096
_TEXT_CONTROLS: Final = frozenset("\t\n\r\f")


def read_artifact(path: Path, limit: int) -> bytes:
    """The bytes of ``path``, read once, so that nobody can swap the file between check and use.

    A symbolic link is followed (caches and build systems make them), and what it leads to is judged: the descriptor
    that was opened is the one that is checked. Opening does not wait, so a FIFO without a writer cannot hang us.

    Args:
        path: the artifact.
        limit: largest size in bytes that is read.

    Raises:
        Refused: ``not-found``, ``unreadable``, ``not-a-file``, ``empty``, ``file-too-large``, ``git-lfs-pointer``,
            ``text`` or ``unsupported-format``.
    """
    data = _read(path, limit)
    if not data:
        raise Refused("empty", "the artifact is an empty file")
    if data.startswith(_LFS):
        raise Refused("git-lfs-pointer", "the artifact is a Git-LFS pointer; fetch the real file first")
    if _is_text(data):
        raise Refused("text", "the artifact is a text file")
    refuse_unsupported(data, "the artifact")
    return data


def _read(path: Path, limit: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise Refused("not-found", f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        # A socket cannot be opened at all (ENXIO).
        raise Refused("unreadable", f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    try:
        _check_regular(path, os.fstat(descriptor), limit)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Refused("unreadable", f"{path} cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise Refused("file-too-large", f"{path} grew past {limit:,} bytes while it was read")
    return data


def _check_regular(path: Path, status: os.stat_result, limit: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "special file")
        raise Refused("not-a-file", f"{path} is a {kind}, not a regular file")
    if status.st_size > limit:
        raise Refused("file-too-large", f"{path} has {status.st_size:,} bytes; at most {limit:,} are read")


def _is_text(data: bytes) -> bool:
    """Whether the file starts as UTF-8 text without control characters (a character may be cut at the probe's end)."""
    probe = data[:_TEXT_PROBE]
    try:
        text = probe.decode()
    except UnicodeDecodeError as error:
        if error.start < len(probe) - 3 or len(data) <= _TEXT_PROBE:
            return False
        text = probe[: error.start].decode()
    return all(char.isprintable() or char in _TEXT_CONTROLS for char in text)
