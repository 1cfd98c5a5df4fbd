"""The record to beat: the best score that the record track holds at some commit."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import PurePosixPath

from auditor.submission.metadata import parse_metadata
from auditor.sweep.folders import RECORDS
from auditor.sweep.repository import BlobReader, Repository, RepositoryError

_MOST_OF_A_FILE = 1 << 20
_TRACK = "track_10min"


@lru_cache(maxsize=4096)
def best_record(repository: Repository, commit: str) -> float | None:
    """The lowest ``val_bpb`` of the record track's ``submission.json`` files, bits per byte; None without one."""
    try:
        blobs = repository.blobs(commit, RECORDS)
    except RepositoryError:
        return None
    oids = [blob.oid for blob in blobs if _is_record(PurePosixPath(blob.path))]
    with BlobReader(repository.folder) as reader:
        scores = [_score(reader, oid) for oid in oids]
    return min((score for score in scores if score is not None), default=None)


def _is_record(path: PurePosixPath) -> bool:
    return path.name == "submission.json" and path.parts[0].startswith(_TRACK)


def _score(reader: BlobReader, oid: str) -> float | None:
    data = io.BytesIO()
    if not reader.copy(oid, data, _MOST_OF_A_FILE):
        return None
    metadata = parse_metadata(data.getvalue().decode("utf-8", "replace"), "submission.json")
    return None if metadata.retracted else metadata.val_bpb
