"""Rules on where a submission lies, which no example's files can say."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.audited import Audited
from auditor.findings import Status
from auditor.submission import read_submission
from rules.folder_name import FolderName
from rules.one_new_folder import OneNewFolder

HOME = "records/track_10min_16mb/2026-04-02_Model"


def audited(root: Path, changes: tuple[tuple[str, str], ...] | None = None) -> Audited:
    root.mkdir(parents=True)
    (root / "train_gpt.py").write_text("print(1)\n")
    return Audited(read_submission(root), changes=changes, folder=HOME)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (HOME, Status.CLEAR),
        ("records/track_10min_16mb/my_model", Status.TRACED),
        ("records/track_10min_16mb/2026-13-02_Model", Status.TRACED),
        (f"records/track_10min_16mb/{HOME}", Status.TRACED),
        ("elsewhere/my_model", Status.NOT_APPLICABLE),
    ],
)
def test_folders_of_a_track_carry_a_date(tmp_path: Path, path: str, status: Status) -> None:
    assert FolderName().check(audited(tmp_path / path)).status is status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        (None, Status.NOT_APPLICABLE),
        ((("A", f"{HOME}/train_gpt.py"), ("A", f"{HOME}/logs/a.log")), Status.CLEAR),
        ((("A", f"{HOME}/train_gpt.py"), ("M", "README.md")), Status.TRACED),
        ((("A", f"{HOME}/train_gpt.py"), ("D", f"{HOME}/old.py")), Status.TRACED),
        ((("A", f"{HOME}_2/train_gpt.py"),), Status.TRACED),
    ],
)
def test_a_pull_request_adds_one_folder(
    tmp_path: Path, changes: tuple[tuple[str, str], ...] | None, status: Status
) -> None:
    assert OneNewFolder().check(audited(tmp_path / "a", changes)).status is status


@pytest.mark.parametrize(
    ("path", "record", "budget"),
    [
        ("records/track_10min_16mb/2026-04-02_Model", True, True),
        ("records/track_non_record_16mb/2026-04-02_Model", False, False),
        ("anywhere", False, True),
    ],
)
def test_the_track_comes_from_where_the_folder_lies(tmp_path: Path, path: str, record: bool, budget: bool) -> None:
    subject = audited(tmp_path / path)
    assert (subject.is_record, subject.has_budget) == (record, budget)
