"""The corpus: documentation that every CPython carries, cut into documents and split into train and val.

Sources are the topics of ``help()`` (``pydoc_data.topics``) and the docstrings of the standard library, read from its
source files by ``ast`` without importing them. The same patch version of Python gives the same corpus.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sysconfig
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from pydoc_data import topics
from typing import Final

LEFT_OUT: Final = frozenset(
    {"test", "tests", "idlelib", "idle_test", "lib2to3", "turtledemo", "site-packages", "dist-packages", "ensurepip"}
)
"""Parts of the library that are not documentation of it, or that not every installation has."""

REPEATED_CHARS: Final = 40
"""A paragraph at least this long counts once: topics contain each other, and a text in train and val tests nothing."""

SMALLEST_DOCUMENT: Final = 200
"""Characters; what is left over at the end of a source is dropped if it is shorter."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents, one line of text each, in a repeatable order without meaning (that of their hashes)."""

    train: tuple[str, ...]
    val: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A named source of text that is read when it is needed."""

    name: str
    read: Callable[[], str]


def sources(fraction: float = 1.0) -> list[Source]:
    """The sources in a fixed order, or that share of them that a hash of their names selects."""
    library = Path(sysconfig.get_path("stdlib"))
    found = [Source(f"topic {name}", partial(str, text)) for name, text in sorted(topics.topics.items())]
    found.extend(
        Source(f"file {path.relative_to(library).as_posix()}", partial(docstrings, path))
        for path in sorted(_modules(library))
    )
    return [source for source in found if _uniform(source.name) < fraction]


def _modules(library: Path) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(library):
        subfolders[:] = [name for name in subfolders if name not in LEFT_OUT]  # prunes the walk
        yield from (Path(folder, name) for name in files if name.endswith(".py"))


def docstrings(path: Path) -> str:
    """All docstrings of a source file, outermost first, as paragraphs; empty where it does not parse."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd escapes: the caller's filters must not change the corpus
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # templates that only look like source
        return ""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, documented))
    return "\n\n".join(text for text in found if text)


def documents(texts: Iterable[str], document_chars: int) -> Iterator[str]:
    """Cut texts into documents of whole paragraphs, with white space squeezed as the tokenizer would squeeze it."""
    seen: set[str] = set()
    for text in texts:
        document: list[str] = []
        length = 0
        for block in text.split("\n\n"):
            paragraph = " ".join(block.split())
            if not paragraph or paragraph in seen:
                continue
            if len(paragraph) >= REPEATED_CHARS:
                seen.add(paragraph)
            if document and length + len(paragraph) > document_chars:
                yield " ".join(document)
                document, length = [], 0
            document.append(paragraph)
            length += len(paragraph) + 1
        if length >= SMALLEST_DOCUMENT:
            yield " ".join(document)


def split(texts: Iterable[str], val_share: float) -> Corpus:
    """Order documents by the hash of their text; those with the smallest hashes are the validation set."""
    ordered = sorted(set(texts), key=_uniform)
    held_out = sum(_uniform(text) < val_share for text in ordered)
    return Corpus(train=tuple(ordered[held_out:]), val=tuple(ordered[:held_out]))


def build_corpus(
    chosen: Sequence[Source], document_chars: int, val_share: float, on_progress: Callable[[int, int], None]
) -> Corpus:
    """Read ``chosen`` and make the corpus; ``on_progress`` is called with (sources read, sources in all)."""

    def texts() -> Iterator[str]:
        for number, source in enumerate(chosen, 1):
            yield source.read()
            on_progress(number, len(chosen))

    return split(documents(texts(), document_chars), val_share)


def _uniform(text: str) -> float:
    """A number in [0, 1) that depends on ``text`` only."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2.0**64
