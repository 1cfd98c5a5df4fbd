"""Read a submission's folder into a :class:`Submission`. Nothing of it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from auditor.submission.closure import Closure, follow, read_text
from auditor.submission.commands import Command, commands_in_readme, commands_in_script
from auditor.submission.echoes import Echoes
from auditor.submission.entry import choose_entry
from auditor.submission.folder import FileKind, Folder, SubmittedFile, list_folder
from auditor.submission.kernels import Kernel, file_kernels
from auditor.submission.launch import LaunchConfiguration, documented_launch
from auditor.submission.logs import Log, of_another_run, parse_log, primary_logs, squeeze
from auditor.submission.metadata import Metadata, parse_metadata
from auditor.submission.problems import Problem, ProblemKind, ReadLimits, shorten
from auditor.submission.source import Source

_RETRACTED = re.compile(r"\b(?:retracted|retraction|illegal (?:number|score|result|run)s?)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Submission:
    """A submission as data.

    Attributes:
        root: its folder.
        files: every regular file by name.
        entry: the script that a launcher starts, as shipped, or where none is shipped the one that a log of the
            submitted runs embeds; None when there is neither. The code that runs may be packed inside it: see ``main``.
        sources: the Python that the entry reaches, by name, the entry first.
        kernels: C, C++ and CUDA, in files and in string literals.
        readme: text of the README; empty when there is none.
        metadata: the normalised ``submission.json``; None when there is none.
        logs: every log, parsed.
        launch: the documented launch.
        problems: everything that could not be read as it should.
    """

    root: Path
    files: Mapping[str, SubmittedFile]
    entry: Source | None
    sources: Mapping[str, Source]
    kernels: tuple[Kernel, ...]
    readme: str
    metadata: Metadata | None
    logs: tuple[Log, ...]
    launch: LaunchConfiguration
    problems: tuple[Problem, ...]

    def of_kind(self, kind: FileKind) -> tuple[SubmittedFile, ...]:
        """Files of one kind (requirements, tokenizers, artifacts ...), shallow ones first."""
        return tuple(file for file in self.files.values() if file.kind is kind)

    @property
    def requirements(self) -> tuple[SubmittedFile, ...]:
        """Files that list packages."""
        return self.of_kind(FileKind.REQUIREMENTS)

    @property
    def tokenizers(self) -> tuple[SubmittedFile, ...]:
        """Tokenizer models and vocabularies."""
        return self.of_kind(FileKind.TOKENIZER)

    @property
    def artifacts(self) -> tuple[SubmittedFile, ...]:
        """Weights and other binary files."""
        return self.of_kind(FileKind.ARTIFACT)

    @property
    def retracts_its_run(self) -> bool:
        """Whether the author has retracted the run that the README documents: the script's own defaults then speak.

        Where the metadata claim a score, what the README retracts is an earlier one.
        """
        claims = self.metadata is not None and self.metadata.val_bpb is not None and not self.metadata.retracted
        return not claims and _RETRACTED.search(self.readme) is not None

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

    Args:
        root: the folder; a link to a folder is fine, links inside it are not followed.
        limits: bounds on what is read.

    Raises:
        UnreadableSubmissionError: there is no such folder, or it may not be listed. Whatever the folder holds never
            raises; it becomes a :class:`Problem`.
    """
    limits = limits or ReadLimits()
    folder = list_folder(Path(root), limits)
    problems = list(folder.problems)
    readme, commands = _documents(folder, limits, problems)
    metadata = _metadata(folder, limits, problems)
    name = choose_entry(folder, commands)
    if name is None:
        empty = folder.of_kind(FileKind.PYTHON)
        kind = ProblemKind.EMPTY_ENTRY if empty else ProblemKind.MISSING_ENTRY
        message = "the scripts are empty" if empty else "no Python script"
        problems.append(Problem(kind, message, empty[0].name if empty else ""))
        closure = Closure({}, file_kernels(folder, frozenset(), limits), (), ())
    else:
        closure = follow(folder, name, limits)
    logs = _logs(folder, closure.sources, limits, problems)
    runs = _runs(logs, metadata, commands)
    embedded = _embedded(folder, runs, limits) if name is None else None
    if embedded is not None:
        name, text = embedded
        closure = follow(folder, name, limits, text)
        logs = _logs(folder, closure.sources, limits, [])
        runs = _runs(logs, metadata, commands)
    problems.extend(closure.problems)
    launch = documented_launch(commands, name or "", closure.environment, runs, metadata)
    problems.extend(_ambiguities(launch))
    return Submission(
        root=folder.root,
        files=folder.files,
        entry=closure.sources.get(name or ""),
        sources=closure.sources,
        kernels=closure.kernels,
        readme=readme,
        metadata=metadata,
        logs=logs,
        launch=launch,
        problems=tuple(problems),
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


def _ambiguities(launch: LaunchConfiguration) -> list[Problem]:
    """A line per setting that is documented in several ways, at most twenty."""
    out = []
    for setting in launch.ambiguous[:20]:
        other = setting.conflicts[0]
        values = (
            f"{shorten(setting.value, 30)} here, {shorten(other.value, 30)} in {shorten(other.file, 60)}:{other.line}"
        )
        message = f"{setting.name} is {values}"
        out.append(Problem(ProblemKind.AMBIGUOUS_LAUNCH, message, setting.file, setting.line))
    return out


def _metadata(folder: Folder, limits: ReadLimits, problems: list[Problem]) -> Metadata | None:
    files = folder.of_kind(FileKind.METADATA)
    if not files:
        problems.append(Problem(ProblemKind.BAD_METADATA, "no submission.json"))
        return None
    text, found = read_text(folder, files[0].name, limits.source_bytes)
    problems.extend(found)
    if text is None:
        return None
    metadata = parse_metadata(text, files[0].name)
    problems.extend(metadata.problems)
    return metadata


def _logs(
    folder: Folder, sources: Mapping[str, Source], limits: ReadLimits, problems: list[Problem]
) -> tuple[Log, ...]:
    scripts = {squeeze(source.text): source.name for source in sources.values()}
    logs = []
    files = folder.of_kind(FileKind.LOG)
    echoes = Echoes.of(source for source in sources.values() if source.problem is None) if files else None
    if len(files) > limits.logs:
        message = f"{len(files)} logs; the first {limits.logs} were read"
        problems.append(Problem(ProblemKind.TOO_MANY_FILES, message))
    for file in files[: limits.logs]:
        try:
            data = folder.read_bytes(file.name, limits.log_bytes)
        except OSError as error:
            problems.append(Problem(ProblemKind.UNREADABLE, f"cannot read: {error.strerror or error}", file.name))
            continue
        truncated = file.size > len(data)
        if truncated:
            message = f"longer than {limits.log_bytes} bytes; only the beginning was read"
            problems.append(Problem(ProblemKind.TOO_LARGE, message, file.name))
        logs.append(parse_log(_decode(data), file.name, scripts, echoes=echoes, truncated=truncated))
    return tuple(logs)


def _runs(logs: tuple[Log, ...], metadata: Metadata | None, commands: tuple[Command, ...]) -> tuple[Log, ...]:
    """The logs of the submitted runs; none where a documented command made the claimed score, and they show another."""
    claims = [result.val_bpb for result in metadata.seed_results] if metadata else []
    seeds = [claim for claim in claims if claim is not None]
    runs = primary_logs(logs, seeds, metadata.val_bpb if metadata else None)
    documented = any(command.script for command in commands)
    return () if documented and metadata and of_another_run(runs, metadata.claimed_bpb) else runs


def _embedded(folder: Folder, runs: tuple[Log, ...], limits: ReadLimits) -> tuple[str, str] | None:
    """The script that a log embeds, for a folder without one: the log's name, and the text on the log's own lines."""
    for run in runs:
        if run.dump is not None:
            lines = _decode(folder.read_bytes(run.name, limits.log_bytes)).split("\n")
            before = run.dump.first_line - 1
            return run.name, "\n" * before + "\n".join(lines[before : run.dump.last_line])
    return None


def _decode(data: bytes) -> str:
    """A log's text; logs redirected by PowerShell are UTF-16."""
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    return data.decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")
