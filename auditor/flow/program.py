"""The files of a submission as the interpreter sees them: modules by name, lowered on demand."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping

from auditor.findings import Step
from auditor.flow import ir
from auditor.flow.lower import UnparsableError, lower_source


class Sources:
    """Python sources by path.

    Args:
        texts: path relative to the submission's folder to Python text, packed scripts already unwrapped.
        quoted: lines of other files that evidence may pass.
    """

    def __init__(self, texts: Mapping[str, str], quoted: Iterable[Step] = ()) -> None:
        self.texts = texts
        self._quoted = {(step.file, step.line): step.text for step in quoted}
        self._lowered: dict[str, ir.Module | None] = {}
        self.unparsable: dict[str, str] = {}

    def module(self, dotted: str, importer: str) -> str | None:
        """The file that ``import dotted`` in ``importer`` finds, None for a library."""
        path = dotted.strip(".").replace(".", "/")
        folder = posixpath.dirname(importer)
        for base in dict.fromkeys((folder, "")):
            for name in (f"{path}.py", f"{path}/__init__.py"):
                candidate = posixpath.join(base, name)
                if candidate in self.texts:
                    return candidate
        return None

    def load(self, file: str) -> ir.Module | None:
        """A file, lowered; None where it does not parse (the reason is in ``unparsable``)."""
        if file not in self._lowered:
            try:
                self._lowered[file] = lower_source(self.texts[file], file)
            except UnparsableError as error:
                self._lowered[file] = None
                self.unparsable[file] = str(error)
        return self._lowered[file]

    def line(self, file: str, line: int) -> str:
        """The text of a line, stripped."""
        module = self._lowered.get(file)
        if module is None or not 0 < line <= len(module.lines):
            return self._quoted.get((file, line), "")
        return module.lines[line - 1].strip()[:200]
