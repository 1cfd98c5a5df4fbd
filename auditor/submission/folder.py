"""A submission's folder as a list of files: nothing is followed, opened or run that could hurt.

Links are listed and never followed, pipes and devices are never opened, and the walk stops at the limits.
"""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from auditor.submission.problems import Problem, ProblemKind, ReadLimits, UnreadableSubmissionError, shorten


class FileKind(enum.StrEnum):
    """The role of a file, by its name."""

    PYTHON = "python"
    NATIVE = "native"
    """C, C++ or CUDA source."""
    SHELL = "shell"
    README = "readme"
    METADATA = "metadata"
    LOG = "log"
    REQUIREMENTS = "requirements"
    TOKENIZER = "tokenizer"
    ARTIFACT = "artifact"
    """Weights or another binary blob."""
    OTHER = "other"


NATIVE_SUFFIXES = frozenset({".c", ".cc", ".cpp", ".cxx", ".cu", ".cuh", ".h", ".hpp"})
_TOKENIZER_SUFFIXES = frozenset({".model", ".vocab"})
_ARTIFACT_SUFFIXES = frozenset(
    {".ptz", ".pt", ".pth", ".bin", ".safetensors", ".npz", ".npy", ".lzma", ".xz", ".zst", ".br", ".so", ".zip", ".gz"}
)
_PLAIN_SUFFIXES = {
    ".py": FileKind.PYTHON,
    ".pyw": FileKind.PYTHON,
    ".sh": FileKind.SHELL,
    ".bash": FileKind.SHELL,
    ".slurm": FileKind.SHELL,
    ".log": FileKind.LOG,
}


@dataclass(frozen=True, slots=True)
class SubmittedFile:
    """A regular file of the submission.

    Attributes:
        name: path relative to the submission's folder, with forward slashes.
        size: bytes.
        kind: role by its name.
    """

    name: str
    size: int
    kind: FileKind


@dataclass(frozen=True)
class Folder:
    """The files of a submission and a bounded way to read them.

    Attributes:
        root: the folder.
        files: regular files by name, sorted, shallow ones first.
        problems: links, special files, limits hit.
    """

    root: Path
    files: Mapping[str, SubmittedFile]
    problems: tuple[Problem, ...]

    def of_kind(self, kind: FileKind) -> tuple[SubmittedFile, ...]:
        """Files of one kind, shallow ones first."""
        return tuple(file for file in self.files.values() if file.kind is kind)

    def read_bytes(self, name: str, limit: int) -> bytes:
        """The first ``limit`` bytes of a listed file.

        Raises:
            OSError: the file changed into something else, or the system refuses.
            KeyError: no such file was listed.
        """
        if name not in self.files:
            raise KeyError(name)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(self.root / name, flags), "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise OSError(f"{name} is no longer a regular file")
            return stream.read(limit)

    def resolve(self, name: str, beside: str = "") -> str | None:
        """The listed file that a path in a script means: beside that script, else at the top, else by a unique tail.

        Args:
            name: the path as the script writes it, perhaps absolute or with ``./``.
            beside: name of the script.
        """
        wanted = PurePosixPath(os.path.normpath(name)) if name and "\0" not in name and len(name) < 1024 else None
        if wanted is None:
            return None
        for candidate in (PurePosixPath(beside).parent / wanted, wanted, PurePosixPath(wanted.name)):
            text = os.path.normpath(candidate)
            if text in self.files:
                return text
        beside_by_name = str(PurePosixPath(beside).parent / wanted.name)
        return beside_by_name if beside_by_name in self.files else None


def list_folder(root: Path, limits: ReadLimits) -> Folder:
    """List the regular files below ``root``.

    Raises:
        UnreadableSubmissionError: ``root`` is absent, not a folder, or may not be listed.
    """
    try:
        if not root.exists():
            raise UnreadableSubmissionError(f"{shorten(str(root), 200)}: no such folder")
        if not root.is_dir():
            raise UnreadableSubmissionError(f"{shorten(str(root), 200)}: not a folder")
        os.listdir(root)  # noqa: PTH208 - only to learn whether it may be listed
    except (OSError, ValueError) as error:
        raise UnreadableSubmissionError(f"{shorten(str(root), 200)}: {getattr(error, 'strerror', error)}") from error
    walk = _Walk(limits)
    walk.visit(root)
    files = sorted(walk.files, key=lambda file: (file.name.count("/"), file.name))
    return Folder(root, {file.name: file for file in files}, tuple(walk.problems))


class _Walk:
    """One bounded, breadth-first walk."""

    def __init__(self, limits: ReadLimits) -> None:
        self.limits = limits
        self.files: list[SubmittedFile] = []
        self.problems: list[Problem] = []
        self.seen = 0

    def visit(self, root: Path) -> None:
        waiting = [(os.fspath(root), "")]
        while waiting:
            folder, prefix = waiting.pop(0)
            if prefix.count("/") > self.limits.depth:
                self._problem(ProblemKind.TOO_DEEP, f"folders nested deeper than {self.limits.depth}", prefix)
                continue
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        self.seen += 1
                        if self.seen > self.limits.entries:
                            message = f"more than {self.limits.entries} entries; the rest was not looked at"
                            self._problem(ProblemKind.TOO_MANY_FILES, message, "")
                            return
                        self._take(entry, prefix, waiting)
            except OSError as error:
                self._problem(ProblemKind.UNREADABLE, f"cannot list: {error.strerror}", prefix)

    def _take(self, entry: os.DirEntry[str], prefix: str, waiting: list[tuple[str, str]]) -> None:
        name = prefix + entry.name
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._problem(ProblemKind.UNREADABLE, f"cannot look at it: {error.strerror}", name)
            return
        if stat.S_ISLNK(status.st_mode):
            self._problem(ProblemKind.LINK, "a symbolic link, not followed", name)
        elif stat.S_ISDIR(status.st_mode):
            if entry.name not in {".git", "__pycache__"}:
                waiting.append((entry.path, name + "/"))
        elif stat.S_ISREG(status.st_mode):
            self.files.append(SubmittedFile(name, status.st_size, kind_of(name)))
        else:
            self._problem(ProblemKind.SPECIAL_FILE, "a socket, pipe or device, not opened", name)

    def _problem(self, kind: ProblemKind, message: str, name: str) -> None:
        if len(self.problems) < 200:  # a folder of a million links needs no million lines
            self.problems.append(Problem(kind, message, shorten(name, 200)))


def kind_of(name: str) -> FileKind:  # noqa: PLR0911 - one question after another
    """The role of a file, by its name alone."""
    path = PurePosixPath(name)
    lower, suffix = path.name.lower(), path.suffix.lower()
    if lower == "submission.json":
        return FileKind.METADATA
    if lower.startswith("readme") and suffix in {".md", ".txt", ".rst", ""}:
        return FileKind.README
    if "requirements" in lower and suffix == ".txt":
        return FileKind.REQUIREMENTS
    if suffix in _PLAIN_SUFFIXES:
        return _PLAIN_SUFFIXES[suffix]
    if suffix in NATIVE_SUFFIXES:
        return FileKind.NATIVE
    # The contest names logs by *log*.txt and train*.txt; people also ship seed_42.txt, run1.out and logs/h100.txt.
    if suffix in {".txt", ".out", ".stdout"} and (
        any(word in lower for word in ("log", "train", "seed", "run", "eval")) or "log" in str(path.parent).lower()
    ):
        return FileKind.LOG
    if suffix in _TOKENIZER_SUFFIXES or (suffix in {".json", ".py"} and "tokenizer" in lower):
        return FileKind.TOKENIZER
    return FileKind.ARTIFACT if suffix in _ARTIFACT_SUFFIXES else FileKind.OTHER
