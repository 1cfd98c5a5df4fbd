"""A submission's files from git objects into an empty folder, bounded, without links."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from auditor.submission import Problem, ProblemKind
from auditor.submission.folder import FileKind, kind_of
from auditor.sweep.repository import Blob, BlobReader

_MOST_OF_A_FILE = 64 << 20
_MOST_IN_ALL = 512 << 20
_CODE = frozenset({FileKind.PYTHON, FileKind.NATIVE})


def materialise(blobs: Iterable[Blob], root: Path, reader: BlobReader) -> tuple[Problem, ...]:
    """Write ``blobs`` below ``root``; what could not be written, as problems of the submission.

    A file whose content the repository lacks is left empty unless it is code: that it was submitted is known, and a
    rule about required files must not call it missing.

    Raises:
        RepositoryError: git ended.
    """
    problems = []
    left = _MOST_IN_ALL
    for blob in blobs:
        if not _is_plain(blob):
            problems.append(Problem(ProblemKind.LINK, "a link or a name that is not followed", blob.path))
            continue
        path = root / blob.path
        limit = min(left, _MOST_OF_A_FILE)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as stream:
                present = reader.copy(blob.oid, stream, limit)
                left -= stream.tell()
        except OSError as error:  # a file where a folder must be, a name that is too long
            problems.append(Problem(ProblemKind.UNREADABLE, f"cannot be written: {error.strerror}", blob.path))
            continue
        if not present:
            problems.append(Problem(ProblemKind.UNREADABLE, "absent from this copy of the repository", blob.path))
            if kind_of(blob.path) in _CODE:
                path.unlink()
    return tuple(problems)


def _is_plain(blob: Blob) -> bool:
    """A regular file whose path stays inside; trees may hold any bytes, whatever git itself would check out."""
    parts = os.fsencode(blob.path).split(b"/")
    return blob.mode in {"100644", "100755", "100664"} and not any(
        part in {b"", b".", b".."} or part.lower() == b".git" for part in parts
    )
