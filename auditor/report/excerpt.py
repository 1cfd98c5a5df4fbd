"""Lines of a submission for a reader: from sources already in memory, else from the file, bounded."""

from __future__ import annotations

import itertools
import os
from functools import lru_cache

from auditor.submission import Submission

_LONGEST = 400
"""Characters of a line that a report keeps; packed scripts have lines of 80 KB."""
_MOST_BYTES = 8 << 20


class Excerpts:
    """Lines of one submission."""

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self._lines = lru_cache(maxsize=16)(self._read)

    def line(self, file: str, line: int) -> str:
        """The line, stripped and shortened; empty when there is none."""
        if line < 1:
            return ""
        source = self._submission.sources.get(file)
        lines = source.lines if source is not None else self._lines(file)
        return lines[line - 1].strip()[:_LONGEST] if line <= len(lines) else ""

    def shipped(self, file: str, line: int) -> tuple[str, int]:
        """The file as shipped and its line that hold ``line`` of ``file``."""
        source = self._submission.sources.get(file)
        if source is None or line < 1:
            return file.partition("!")[0], line
        place = source.line_map(line)
        return place.file, place.line

    def _read(self, file: str) -> tuple[str, ...]:
        if file not in self._submission.files:
            return ()
        try:
            descriptor = os.open(self._submission.root / file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return ()
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor, not a path
            data = stream.read(_MOST_BYTES)
        encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
        text = data.decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")
        return tuple(itertools.islice(text.split("\n"), 200_000))
