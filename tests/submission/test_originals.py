"""Real submissions, read from a git mirror of the contest's repository."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from auditor.submission import ProblemKind, Submission, read_submission

SAMPLE = 150


def git(mirror: str, *arguments: str) -> bytes:
    return subprocess.run(["git", "--git-dir", mirror, *arguments], capture_output=True, check=True).stdout


def submissions(mirror: str, root: Path) -> Iterator[Submission]:
    """A fixed choice of pull-request heads: every n-th, and of each the newest folder of its tree."""
    lines = git(mirror, "for-each-ref", "--format=%(refname) %(objectname)", "refs/pull/*/head").decode().split("\n")
    heads = sorted((int(line.split("/")[2]), line.split()[1]) for line in lines if line)
    for number, head in heads[:: max(1, len(heads) // SAMPLE)][:SAMPLE]:
        entries = (
            git(mirror, "ls-tree", "-r", "-z", "--name-only", head, "records/").decode("utf-8", "replace").split("\0")
        )
        folders = {name.rpartition("/")[0] for name in entries if name.endswith("/train_gpt.py")}
        if folders:
            folder = max(folders, key=lambda name: name.rpartition("/")[2])
            write(mirror, head, folder, root / str(number))
            yield read_submission(root / str(number))


def write(mirror: str, head: str, folder: str, target: Path) -> None:
    rows = [row for row in git(mirror, "ls-tree", "-r", "-z", head, folder + "/").split(b"\0") if row]
    blobs = [(row.split(b"\t", 1)[1], row.split()[2]) for row in rows if row.split()[1] == b"blob"]
    command = ["git", "--git-dir", mirror, "cat-file", "--batch"]
    request = b"\n".join(blob for _, blob in blobs) + b"\n"
    answer = subprocess.run(command, input=request, capture_output=True, check=True).stdout
    position = 0
    for name, _ in blobs:
        end = answer.index(b"\n", position)
        header = answer[position:end].split()
        position = end + 1
        if header[1] == b"missing":  # the mirror leaves large files out
            continue
        path = target / os.fsdecode(name)[len(folder) + 1 :]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(answer[position : position + int(header[2])])
        position += int(header[2]) + 1


@pytest.mark.slow
def test_a_sample_of_originals(mirror: str, tmp_path: Path) -> None:
    read = packed = 0
    for submission in submissions(mirror, tmp_path):
        read += 1
        assert submission.entry is not None or not submission.files["train_gpt.py"].size
        packed += submission.main is not submission.entry
        undecoded = {ProblemKind.UNDECODABLE_PACKER, ProblemKind.DYNAMIC_CODE, ProblemKind.TOO_DEEP}
        assert not [problem for problem in submission.problems if problem.kind in undecoded]
    assert read > SAMPLE // 2
    assert packed > 0
