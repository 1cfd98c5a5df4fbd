"""What can go wrong while reading a submission, as data; and the limits that keep reading bounded."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class ProblemKind(enum.StrEnum):
    """Kinds of :class:`Problem`. A problem never reads as clear: it names what could not be looked at."""

    MISSING_ENTRY = "missing-entry"
    """No script that a launcher could start."""
    EMPTY_ENTRY = "empty-entry"
    """The script is there and has no code."""
    UNPARSABLE = "unparsable"
    """Not Python under any grammar version that we know."""
    NEEDS_NEWER_PYTHON = "needs-newer-python"
    """Python 3.12 syntax: fine for analysis, refused by older interpreters."""
    NOT_TEXT = "not-text"
    """Not UTF-8; undecodable bytes were replaced."""
    UNDECODABLE_PACKER = "undecodable-packer"
    """Code is hidden in data that could not be unwrapped without running it."""
    DYNAMIC_CODE = "dynamic-code"
    """``exec`` or ``eval`` of a value that is known only at run time."""
    TOO_LARGE = "too-large"
    """A file, literal or decompressed layer over its limit."""
    TOO_MANY_FILES = "too-many-files"
    """The folder holds more entries than the limit; the rest was not looked at."""
    TOO_DEEP = "too-deep"
    """Folders, layers or syntax nested beyond the limit."""
    LINK = "link"
    """A symbolic link; links are listed and never followed."""
    SPECIAL_FILE = "special-file"
    """A socket, pipe or device; never opened."""
    UNREADABLE = "unreadable"
    """The operating system refused."""
    BAD_METADATA = "bad-metadata"
    """``submission.json`` is absent, is not JSON, or a field has an unusable value."""
    AMBIGUOUS_LAUNCH = "ambiguous-launch"
    """Several documented commands or logs disagree on a setting."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that could not be read as it should.

    Attributes:
        kind: what sort.
        message: one line for a reader; parts of it are untrusted text, shortened.
        file: path relative to the submission's folder, empty for the folder itself.
        line: 1-based line in that file, 0 where none applies.
    """

    kind: ProblemKind
    message: str
    file: str = ""
    line: int = 0


class UnreadableSubmissionError(Exception):
    """There is nothing to read: no such folder, not a folder, no permission. The text is one clear line."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds on what is read, so that hostile folders cost bounded time and memory.

    Attributes:
        entries: files and folders listed at most.
        depth: folders nested at most.
        source_bytes: bytes of one script, README or JSON file; of 1,766 real scripts the largest has 1.6 MB.
        log_bytes: bytes of one log; longer ones are read up to here.
        payload_bytes: bytes of a data file read because a script decodes it into code.
        unpacked_bytes: bytes of one decoded layer.
        layers: packed scripts nested at most.
        sources: scripts in the closure at most.
        logs: logs parsed at most.
        steps: evaluation steps spent on unwrapping one script.
        syntax_depth: syntax nodes nested in one script; libcst takes cubic time in some kinds of nesting, and on long
            chains of ``and`` its recursion ends the process.
    """

    entries: int = 20_000
    depth: int = 16
    source_bytes: int = 2 << 20
    log_bytes: int = 8 << 20
    payload_bytes: int = 32 << 20
    unpacked_bytes: int = 8 << 20
    layers: int = 4
    sources: int = 200
    logs: int = 64
    steps: int = 200_000
    syntax_depth: int = 400


def shorten(text: str, width: int = 80) -> str:
    """Untrusted text on one line, printable, at most ``width`` characters."""
    line = "".join(character if character.isprintable() else " " for character in text[: width + 1])
    return line if len(line) <= width else line[: width - 1] + "…"
