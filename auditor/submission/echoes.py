"""What a script prints of its own settings, found again in the logs.

``print(f"ttt: epochs={args.ttt_epochs}")`` and the line ``ttt: epochs=5`` together say what the setting was in that
run, whatever the README documents.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from auditor.submission.source import Source

_OPENING = 3
"""Characters by which formats are looked up; what begins with less is met by chance."""
_MOST_FORMATS = 2_000
_LONGEST_LINE = 2_000


@dataclass(frozen=True, slots=True)
class Format:
    """An f-string: the text it begins with, then (attribute or None, the text after it) for each value it shows."""

    opening: str
    values: tuple[tuple[str | None, str], ...]

    def settings(self, line: str) -> dict[str, str]:
        """Attribute -> what a line printed by this format shows of it; empty for another line.

        Each literal is taken where it occurs first: linear in the line, whatever its author wrote.
        """
        if not line.startswith(self.opening):
            return {}
        found: dict[str, str] = {}
        at = len(self.opening)
        for position, (name, after) in enumerate(self.values):
            last = position == len(self.values) - 1
            if not after and not last:
                return found  # two values side by side cannot be told apart
            end = line.find(after, at) if after else len(line)
            if end < 0:
                return {}
            words = line[at:end].split()
            if name is not None and len(words) == 1:
                found[name] = words[0]
            at = end + len(after)
        return found


@dataclass(frozen=True)
class Echoes:
    """The formats of a submission's sources, by their first characters."""

    formats: Mapping[str, list[Format]] = field(default_factory=dict)

    @classmethod
    def of(cls, sources: Iterable[Source]) -> Echoes:
        """The formats in these sources, which can be parsed; formats of Python 3.12 are blank to an older one."""
        formats: dict[str, list[Format]] = {}
        found = 0
        for source in sources:
            for node in source.nodes:
                read = _format(node) if isinstance(node, ast.JoinedStr) else None
                if read is not None and found < _MOST_FORMATS:
                    found += 1
                    formats.setdefault(read.opening[:_OPENING], []).append(read)
        return cls(formats)

    def settings(self, line: str) -> Iterator[tuple[str, str]]:
        """(attribute, printed value) of each setting that the line shows."""
        line = line.strip()
        if len(line) <= _LONGEST_LINE:
            for known in self.formats.get(line[:_OPENING], ()):
                yield from known.settings(line).items()


def _format(node: ast.JoinedStr) -> Format | None:
    """The format, None where it shows no attribute or has no opening of its own."""
    texts = [""]
    names: list[str | None] = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            texts[-1] += str(part.value)
        elif isinstance(part, ast.FormattedValue):
            # A rounded value would be another one.
            plain = isinstance(part.value, ast.Attribute) and part.format_spec is None and part.conversion == -1
            names.append(part.value.attr if plain and isinstance(part.value, ast.Attribute) else None)
            texts.append("")
    opening = texts[0].lstrip()
    if len(opening) < _OPENING or not any(names) or any("\n" in text for text in texts[1:-1]):
        return None
    texts[-1] = texts[-1].rstrip()
    return Format(opening, tuple(zip(names, texts[1:], strict=True)))
