"""Which script a launcher would start."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from auditor.submission.commands import Command
from auditor.submission.folder import FileKind, Folder, SubmittedFile

OFFICIAL = "train_gpt.py"
_HELPER = re.compile(r"prepare|tokeniz|download|test|plot|analy|convert|quantize_only|setup|utils?\b|bench|sweep|modal")


def choose_entry(folder: Folder, commands: Sequence[Command]) -> str | None:
    """The entry script: the official name, else what the documented command starts, else the likeliest training script.

    A script in a subfolder counts only when none lies higher. None when there is no Python at all.
    """
    scripts = [file for file in folder.of_kind(FileKind.PYTHON) if file.size]
    official = [file for file in scripts if PurePosixPath(file.name).name == OFFICIAL]
    if official and official[0].name.count("/") == min(file.name.count("/") for file in scripts):
        return official[0].name
    by_name = {file.name for file in scripts}
    for command in commands:
        started = folder.resolve(command.script, "") if command.script else None
        if started in by_name and not _HELPER.search(PurePosixPath(started).name.lower()):
            return started
    if official:
        return official[0].name
    return min(scripts, key=_likelihood).name if scripts else None


def _likelihood(file: SubmittedFile) -> tuple[int, int, int]:
    """A sort key: shallow first, then by name, then the largest."""
    name = PurePosixPath(file.name).name.lower()
    if _HELPER.search(name):
        rank = 4
    elif name.startswith("train_gpt"):
        rank = 0
    elif name == "train.py":
        rank = 1
    elif name.startswith("train"):
        rank = 2
    else:
        rank = 3
    return (rank, file.name.count("/"), -file.size)
