"""A script as text, with the way back to the file that ships it."""

from __future__ import annotations

import ast
import time
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from auditor.submission.fstrings import blank_formatted_strings
from auditor.submission.problems import Problem, ProblemKind

if TYPE_CHECKING:
    import libcst

_MANY_FIELDS = 20_000
"""Fields of formatted strings that are refused: CPython 3.11 and libcst take quadratic time in them."""


class UnparsableSourceError(Exception):
    """The text is not Python; one line."""


@dataclass(frozen=True, slots=True)
class PackInfo:
    """How a script was packed.

    Attributes:
        codecs: decoders in the order they were applied, such as ``("base85", "lzma")``; empty for plain text that is
            executed.
        layers: packed scripts around this one, itself included.
        packed_bytes: length of the literal or payload file that held it.
        outer: name of the source that unpacks it.
        line: 1-based line of the literal in ``outer``.
        payload: name of the data file that held it, empty for a literal.
    """

    codecs: tuple[str, ...]
    layers: int
    packed_bytes: int
    outer: str
    line: int
    payload: str = ""


@dataclass(frozen=True, slots=True)
class Location:
    """A line of a file as shipped: ``file`` relative to the submission's folder, 1-based ``line``."""

    file: str
    line: int


@dataclass(frozen=True)
class Source:
    """Python code that the submission reaches.

    Attributes:
        name: path relative to the folder; the code inside a packed script is ``train_gpt.py!inner``, and a file that a
            script writes and runs is ``train_gpt.py!name.py``.
        text: the code, newlines as they are.
        shipped: for packed code, the line of the file as shipped that holds it; None for a file.
        packed: how it was packed; None for a file.
        problem: why it cannot be analysed; None when it can.
    """

    name: str
    text: str
    shipped: Location | None = None
    packed: PackInfo | None = None
    problem: Problem | None = None

    def line_map(self, line: int) -> Location:
        """The line of a file as shipped that holds ``line`` of this text."""
        return self.shipped or Location(self.name, line)

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The text's lines without their ends, split as Python counts lines."""
        return tuple(self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))

    @cached_property
    def syntax(self) -> ast.Module:
        """CPython's tree, quick and enough for imports and literals; formatted strings of Python 3.12 come out blank.

        Raises:
            UnparsableSourceError: not Python under any grammar that we know.
        """
        return _syntax(self.text)[0]

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of ``syntax``, as :func:`ast.walk` gives them; many ask, and a walk takes as long as the parse.

        Raises:
            UnparsableSourceError: as ``syntax``.
        """
        return tuple(ast.walk(self.syntax))

    @cached_property
    def _concrete(self) -> tuple[libcst.Module, float]:
        import libcst

        if self.problem is not None:
            raise UnparsableSourceError(self.problem.message)
        try:
            _ = self.syntax  # libcst's parser recurses without a bound; CPython's refuses deep brackets
            start = time.perf_counter()
            module = libcst.parse_module(self.text.removeprefix("\ufeff"))
        except (libcst.ParserSyntaxError, RecursionError, ValueError) as error:
            raise UnparsableSourceError(str(error).splitlines()[0]) from None
        return module, time.perf_counter() - start

    @property
    def tree(self) -> libcst.Module:
        """The concrete tree, parsed once.

        Raises:
            UnparsableSourceError: as ``problem`` says.
        """
        return self._concrete[0]

    @property
    def parse_seconds(self) -> float:
        """Wall seconds that ``tree`` took."""
        return self._concrete[1]


def _parse(text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as the script's own invalid escapes
            return ast.parse(text.removeprefix("\ufeff"))
    except SyntaxError as error:
        raise UnparsableSourceError(f"line {error.lineno or 0}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnparsableSourceError(f"{type(error).__name__}: {error}") from None


def _syntax(text: str) -> tuple[ast.Module, bool]:
    """CPython's tree, and whether this interpreter reads the script as it is.

    Raises:
        UnparsableSourceError: as the script reads, not as it reads with its formatted strings blanked.
    """
    braces = text.count("{")
    if braces > _MANY_FIELDS:
        blank = blank_formatted_strings(text)
        if braces - blank.count("{") > _MANY_FIELDS:
            raise UnparsableSourceError(f"more than {_MANY_FIELDS} fields in formatted strings")
        return _parse(blank), True
    try:
        return _parse(text), True
    except UnparsableSourceError as error:
        try:
            return _parse(blank_formatted_strings(text)), False
        except UnparsableSourceError:
            raise error from None


def make_source(
    name: str, text: str, shipped: Location | None = None, packed: PackInfo | None = None
) -> tuple[Source, tuple[Problem, ...]]:
    """A source and what is wrong with it.

    Args:
        name: as in :class:`Source`.
        text: as in :class:`Source`.
        shipped: as in :class:`Source`.
        packed: as in :class:`Source`.
    """
    try:
        tree, as_is = _syntax(text)
    except UnparsableSourceError as error:
        problem = Problem(ProblemKind.UNPARSABLE, f"not Python: {error}", name)
        return Source(name, text, shipped, packed, problem), (problem,)
    source = Source(name, text, shipped, packed)
    source.__dict__["syntax"] = tree  # where cached_property keeps it: parse once
    if as_is:
        return source, ()
    return source, (Problem(ProblemKind.NEEDS_NEWER_PYTHON, "formatted strings of Python 3.12", name),)
