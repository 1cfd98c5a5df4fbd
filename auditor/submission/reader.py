"""Read a submission's folder into a :class:`Submission`. Nothing of it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor.submission.closure import follow, read_text
from auditor.submission.commands import Command, commands_in_readme, commands_in_script
from auditor.submission.entry import choose_entry
from auditor.submission.folder import FileKind, Folder, SubmittedFile, list_folder
from auditor.submission.kernels import Kernel, file_kernels
from auditor.submission.launch import (
    LaunchConfiguration,
    choose_command,
    settings_of_commands,
    settings_of_wrappers,
)
from auditor.submission.problems import Problem, ProblemKind, ReadLimits
from auditor.submission.source import Source
from auditor.submission.unwrap import EnvironmentWrite


@dataclass(frozen=True)
class Submission:
    """A submission as data.

    Attributes:
        root: its folder.
        files: every regular file by name.
        entry: the script that a launcher starts, as shipped; None when there is none. The code that runs may be packed
            inside it: see ``main``.
        sources: the Python that the entry reaches, by name, the entry first.
        kernels: C, C++ and CUDA, in files and in string literals.
        readme: text of the README; empty when there is none.
        launch: the documented launch.
        problems: everything that could not be read as it should.
    """

    root: Path
    files: Mapping[str, SubmittedFile]
    entry: Source | None
    sources: Mapping[str, Source]
    kernels: tuple[Kernel, ...]
    readme: str
    launch: LaunchConfiguration
    problems: tuple[Problem, ...]

    @property
    def main(self) -> Source | None:
        """The code that does the work: the innermost script packed in the entry, else the entry itself."""
        inner = [
            source
            for source in self.sources.values()
            if source.packed and self.entry is not None and source.name.startswith(self.entry.name + "!")
        ]
        return max(inner, key=lambda source: len(source.text), default=self.entry)


def read_submission(root: Path, *, limits: ReadLimits | None = None) -> Submission:
    """Read the submission in folder ``root``.

    Raises:
        UnreadableSubmissionError: there is no such folder, or it may not be listed. Whatever the folder holds never
            raises; it becomes a :class:`Problem`.
    """
    limits = limits or ReadLimits()
    folder = list_folder(Path(root), limits)
    problems = list(folder.problems)
    readme, commands = _documents(folder, limits, problems)
    name = choose_entry(folder, commands)
    if name is None:
        empty = folder.of_kind(FileKind.PYTHON)
        kind = ProblemKind.EMPTY_ENTRY if empty else ProblemKind.MISSING_ENTRY
        message = "the scripts are empty" if empty else "no Python script"
        problems.append(Problem(kind, message, empty[0].name if empty else ""))
        kernels = file_kernels(folder, frozenset(), limits)
        return Submission(
            folder.root, folder.files, None, {}, kernels, readme, _launch(commands, "", ()), tuple(problems)
        )
    closure = follow(folder, name, limits)
    problems.extend(closure.problems)
    launch = _launch(commands, name, closure.environment)
    return Submission(
        folder.root,
        folder.files,
        closure.sources.get(name),
        closure.sources,
        closure.kernels,
        readme,
        launch,
        tuple(problems),
    )


def _documents(folder: Folder, limits: ReadLimits, problems: list[Problem]) -> tuple[str, tuple[Command, ...]]:
    """The README's text, and the commands that it and the shell scripts document."""
    readme = ""
    commands: list[Command] = []
    for file in folder.of_kind(FileKind.README)[:4]:
        text, found = read_text(folder, file.name, limits.source_bytes)
        problems.extend(found)
        readme = readme or text or ""
        commands.extend(commands_in_readme(text or "", file.name))
    for file in folder.of_kind(FileKind.SHELL)[:32]:
        text, found = read_text(folder, file.name, limits.source_bytes)
        problems.extend(found)
        commands.extend(commands_in_script(text or "", file.name))
    return readme, tuple(commands)


def _launch(
    commands: tuple[Command, ...], entry: str, writes: Iterable[tuple[str, EnvironmentWrite]]
) -> LaunchConfiguration:
    preferred = choose_command(commands, entry)
    forced, defaults = settings_of_wrappers(writes)
    environment = {**defaults, **settings_of_commands(preferred, commands), **forced}
    return LaunchConfiguration(environment, {}, preferred, commands)
