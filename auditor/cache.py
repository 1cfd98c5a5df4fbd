"""Answers of earlier audits: what was read has not changed and neither have the rules, so neither has the answer.

An entry is one file, ``SHA-256 of the rest`` + newline + JSON. Whatever is wrong with it (cut, altered, of another
version) makes it a miss, never an error and never another submission's answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from pathlib import Path

import msgspec

from auditor.report.document import Audit, read_audit
from auditor.rule_packs import pack_folders

_MOST_OF_A_FILE = 32 << 20
"""Bytes of a file that reading may look at (the largest of the limits in ``ReadLimits``)."""
_MOST_IN_ALL = 512 << 20
"""Folders with more than this are audited each time: hashing them would cost more than it saves."""


def folder_digest(root: Path) -> str | None:
    """SHA-256 over names, sizes and contents of what an audit can read; None for folders that are not cached."""
    digest = hashlib.sha256()
    total = 0
    for directory, folders, names in os.walk(root, onerror=None, followlinks=False):
        folders.sort()
        for name in sorted(names) + [name for name in folders if (Path(directory) / name).is_symlink()]:
            path = Path(directory) / name
            try:
                size = path.lstat().st_size
                total += min(size, _MOST_OF_A_FILE)
                if total > _MOST_IN_ALL:
                    return None
                regular = path.is_file() and not path.is_symlink()
                content = _file_digest(path) if regular else b"not a file"
            except OSError as error:
                size, content = 0, str(error.errno).encode()
            digest.update(msgspec.json.encode([os.fsencode(path.relative_to(root)), size]) + content)
    return digest.hexdigest()


def _file_digest(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
        return hashlib.sha256(stream.read(_MOST_OF_A_FILE)).digest()


def rule_book_version() -> str:
    """SHA-256 over the code of the auditor and of every rule pack, and over Python's version."""
    digest = hashlib.sha256(sys.version.encode())
    for folder in (Path(__file__).parent, *pack_folders()):
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".py", ".toml"}:
                digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


class Cache:
    """Entries under one folder.

    Args:
        folder: where; the default is :func:`default_folder`. Without any, nothing is remembered.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or default_folder()

    def get(self, key: str) -> Audit | None:
        """The answer under ``key``; None when there is none that is whole."""
        if self._folder is None:
            return None
        try:
            digest, _, data = (self._folder / key).read_bytes().partition(b"\n")
            if digest.decode() != hashlib.sha256(key.encode() + data).hexdigest():
                return None
            return read_audit(data)
        except (OSError, ValueError):
            return None

    def put(self, key: str, audit: Audit) -> None:
        """Remember an answer; a full or read-only disk only means that it is not remembered."""
        if self._folder is None:
            return
        data = msgspec.json.encode(audit)
        digest = hashlib.sha256(key.encode() + data).hexdigest().encode()
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
                whole = Path(scratch) / key
                whole.write_bytes(digest + b"\n" + data)
                whole.replace(self._folder / key)


def default_folder() -> Path | None:
    """``$XDG_CACHE_HOME/model-golf-referee/audit``, by default below ``~/.cache``; None for a user without a home."""
    place = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not place.is_absolute():  # to be ignored then, says the specification of that variable
        try:
            place = Path.home() / ".cache"
        except RuntimeError:  # an id that no account has, as in many containers
            return None
    return place / "model-golf-referee" / "audit" if place.is_absolute() else None


def cache_key(*parts: object) -> str:
    """A name for the answer to these inputs."""
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()
