"""C, C++ and CUDA that a submission carries: files, and literals in its scripts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from auditor.submission.folder import FileKind, Folder
from auditor.submission.outline import NativeLiteral, language_of
from auditor.submission.problems import ReadLimits
from auditor.submission.source import Source

_INCLUDE = re.compile(r"^\s*#\s*include\s*\"([^\"\n]{1,200})\"", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Kernel:
    """Compiled code in source form.

    Attributes:
        name: the file, or ``script.py:LINE`` for a literal.
        language: ``"c"``, ``"c++"`` or ``"cuda"``.
        text: the code.
        file: name of the file, or of the source (as in ``Submission.sources``) that holds the literal.
        line: 1-based line in ``file`` where the text begins; 1 for a file.
        column: 0-based column of the literal; 0 for a file.
        verbatim: line ``i`` of the text (0-based) is line ``line + i`` of ``file``.
        reached: the closure quotes, includes or carries it; a file that nothing names is False.
    """

    name: str
    language: str
    text: str
    file: str
    line: int = 1
    column: int = 0
    verbatim: bool = True
    reached: bool = True

    def line_in_file(self, line: int) -> int:
        """The line of ``file`` that holds 1-based ``line`` of the text, else where the literal begins."""
        return self.line + line - 1 if self.verbatim else self.line


def literal_kernels(source: Source, natives: Iterable[NativeLiteral]) -> tuple[Kernel, ...]:
    """The kernels that one script carries in string literals."""
    return tuple(
        Kernel(
            f"{source.name}:{native.line}",
            native.language,
            native.text,
            source.name,
            native.line,
            native.column,
            native.verbatim,
        )
        for native in natives
    )


def file_kernels(folder: Folder, quoted: Set[str], limits: ReadLimits) -> tuple[Kernel, ...]:
    """The C, C++ and CUDA files of a submission; ``reached`` follows quotes from scripts and then ``#include``.

    Args:
        folder: the submission's files.
        quoted: names of listed files that the closure quotes.
        limits: bounds on their number and size.
    """
    texts: dict[str, str] = {}
    for file in folder.of_kind(FileKind.NATIVE)[: limits.sources]:
        try:
            texts[file.name] = folder.read_bytes(file.name, limits.source_bytes).decode("utf-8", "replace")
        except OSError:
            continue  # vanished since it was listed
    reached = _included(folder, texts, quoted)
    return tuple(
        Kernel(name, language_of(name, text), text, name, reached=name in reached) for name, text in texts.items()
    )


def _included(folder: Folder, texts: Mapping[str, str], quoted: Set[str]) -> set[str]:
    waiting = [name for name in texts if name in quoted]
    reached = set(waiting)
    while waiting:
        name = waiting.pop()
        for include in _INCLUDE.findall(texts[name]):
            found = folder.resolve(include, name)
            if found is not None and found in texts and found not in reached:
                reached.add(found)
                waiting.append(found)
    return reached
