"""Files and folders that a command is asked to write: refused before the work, not after it.

A leaf, like :mod:`auditor.exits`: both commands take it. All refusals are click's, one line and exit code 64.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

STDOUT = Path("-")
"""Stands for standard output."""


class OutputFile(click.Path):
    """Type of an option that names a file to write; ``-`` stands for standard output where ``dash`` is set."""

    def __init__(self, *, dash: bool = False) -> None:
        super().__init__(dir_okay=False, allow_dash=dash, path_type=Path)

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path, once it is known that it can be written to; what is there stays as it is."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not (self.allow_dash and path == STDOUT):
            try:
                _try_to_open(path)
            except OSError as error:
                self.fail(f"cannot write {str(path)!r}: {error.strerror}", param, ctx)
        return path


def make_folder(path: Path) -> None:
    """Make ``path`` and what is missing above it.

    Raises:
        click.ClickException: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"cannot make the folder {str(path)!r}: {error.strerror}") from None


def write_file(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``.

    Raises:
        click.ClickException: it cannot be written any more.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        raise click.ClickException(f"cannot write {str(path)!r}: {error.strerror}") from None


def _try_to_open(path: Path) -> None:
    if path.exists() and not path.is_file():
        return  # a pipe or a device: its reader would notice
    new = not os.path.lexists(path)
    with path.open("ab"):
        pass
    if new:
        path.unlink()
