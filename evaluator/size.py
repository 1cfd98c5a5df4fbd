"""What counts towards the byte cap: the artifact's file and the code that the submission ships."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from evaluator.refusal import Refused


def count_code(paths: Iterable[Path]) -> tuple[dict[str, int], str]:
    """Bytes per code file, and one digest over names and contents.

    A folder counts with every regular file below it. Links are refused: their target could change after the count.

    Returns:
        bytes by path as given (folder entries as ``folder/relative``), and the SHA-256 in hexadecimal.

    Raises:
        Refused: a path is missing, is no regular file or folder, or cannot be read.
    """
    sizes: dict[str, int] = {}
    digest = hashlib.sha256()
    for path in paths:
        for name, file in _files(path):
            if name in sizes:
                continue
            try:
                data = file.read_bytes()
            except OSError as error:
                raise Refused("bad-code", f"{name}: {error.strerror}") from error
            sizes[name] = len(data)
            digest.update(f"{len(name.encode())}:{name}:{len(data)}:".encode())
            digest.update(data)
    return sizes, digest.hexdigest()


def _files(path: Path) -> list[tuple[str, Path]]:
    if path.is_symlink():
        raise Refused("bad-code", f"{path.name} is a link; name the file itself")
    if path.is_file():
        return [(path.name, path)]
    if not path.is_dir():
        raise Refused("bad-code", f"{path.name}: no such file or folder")
    found = []
    for entry in sorted(path.rglob("*")):
        if entry.is_symlink():
            raise Refused("bad-code", f"{entry.relative_to(path.parent)} is a link; name the file itself")
        if entry.is_file() and "__pycache__" not in entry.parts:
            found.append((str(entry.relative_to(path.parent)), entry))
    return found
