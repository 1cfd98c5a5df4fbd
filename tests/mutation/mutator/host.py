"""Hosts: clean submissions as texts."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "hosts"


@dataclass(frozen=True)
class Host:
    """A clean submission.

    Attributes:
        name: short, for reports.
        entry: the script's name in ``files``.
        files: name -> text.
    """

    name: str
    entry: str
    files: Mapping[str, str] = field(repr=False)

    def tree(self) -> ast.Module:
        """The script, parsed anew.

        Raises:
            SyntaxError: this Python does not read it.
        """
        return ast.parse(self.files[self.entry])

    def write(self, folder: Path) -> Path:
        """Write the files below ``folder``, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return folder


def own_hosts() -> tuple[Host, ...]:
    """The hosts that the project brings."""
    return tuple(
        Host(folder.name, "train_gpt.py", {file.name: file.read_text("utf-8") for file in sorted(folder.iterdir())})
        for folder in sorted(FOLDER.iterdir())
        if (folder / "train_gpt.py").is_file()
    )
