"""Which of the files that a pull request changes belong to a submission, and to which one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from auditor.sweep.repository import Change

RECORDS = "records"
"""The folder that holds the tracks; one below them is one submission."""
_MARKS = frozenset({"submission.json", "train_gpt.py"})
"""Outside of the records, a folder with one of these may be a submission in the wrong place."""
_SCRIPT = "train_gpt.py"


def submission_folders(changes: Iterable[Change]) -> tuple[str, ...]:
    """Folders of the submissions that the changes add or alter, sorted.

    Folders outside of the records count only where there is none inside: forks bring their experiments along. ``""``
    stands for a script at the repository's top, which a few pull requests change in place; it counts only where there
    is no folder at all.
    """
    kept = [PurePosixPath(change.path) for change in changes if change.kind != "D"]
    folders = {folder for path in kept if (folder := record_folder(path)) is not None}
    folders = folders or {str(path.parent) for path in kept if _is_mark(path)}
    if not folders and PurePosixPath(_SCRIPT) in kept:
        return ("",)
    return tuple(sorted(folders))


def record_folder(path: PurePosixPath) -> str | None:
    """``records/TRACK/NAME`` of a file below it, also where a whole ``records`` lies inside another folder.

    A name right below ``records`` that is no track is taken for the submission itself.
    """
    parents = path.parts[:-1]
    if RECORDS not in parents:
        return None
    start = len(parents) - 1 - parents[::-1].index(RECORDS)
    below = parents[start + 1 :]
    depth = 2 if below and _is_track(below[0]) else 1
    return "/".join(parents[: start + 1 + depth]) if len(below) >= depth else None


def _is_track(name: str) -> bool:
    lower = name.lower()
    return "track" in lower or lower.replace("-", "_") in {"non_record", "non_records"}


def _is_mark(path: PurePosixPath) -> bool:
    return path.name in _MARKS and len(path.parts) > 1 and RECORDS not in path.parts[:-1]
