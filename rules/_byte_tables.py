"""How many bytes a script credits each token: its tables and sums, evaluated on a handful of sample tokens.

Whoever builds a table of bytes asks a tokenizer for its pieces. That function is evaluated with a tokenizer of our own
that has a dozen pieces; then every sum that changes with the table is evaluated for each sample as the target, after an
ordinary token. What comes out is compared with the bytes of the text that the piece stands for.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from auditor.concrete import UNKNOWN, HaltError, Interpreter, Native
from auditor.findings import Step
from auditor.submission import Source, Submission
from rules._byte_sums import ByteSums

_MARKER = "\u2581"
_PIECES = (
    "<unk>",
    "<s>",
    "</s>",
    "<0x0A>",
    "<0xE2>",
    "\u2581",
    "\u2581the",
    "the",
    "\u00e9",
    "\u2581\u00e9t\u00e9",
    "\U0001f600",
)
_CONTROLS, _BYTES = range(3), range(3, 5)
_SPACED, _ORDINARY = 6, 7
"""A word's beginning, and a word's end: the token before each sample, after which a space is a byte of the text."""
_SAMPLES = (6, 7, 8, 9, 10, 3)
_GIVES_PIECE = {"id_to_piece", "IdToPiece"}
_TOKENIZER_FILE = re.compile(
    r"""["']([^"'\s]*tokeniz[^"'\s]*\.(?:json|pkl|npz|npy|txt|bin|vocab|model))["']""", re.IGNORECASE
)
_READS = {"open", "read_text", "read_bytes", "load"}
_MOST = 4.0
"""Times the truth up to which a sum is taken for a sum of bytes."""


@dataclass(frozen=True, slots=True)
class Credit:
    """A token that is credited too much.

    Attributes:
        piece: the piece.
        credited, bytes: what the script counts, and what the text has.
        steps: where.
    """

    piece: str
    credited: float
    bytes: int
    steps: tuple[Step, ...]


def true_bytes(token: int) -> int:
    """Bytes that a sample adds to the text after an ordinary token."""
    return 1 if token in _BYTES else len(_PIECES[token].replace(_MARKER, " ").encode())


def overcredited(submission: Submission) -> list[Credit]:
    """Tables and sums that credit a sample token more than its bytes."""
    sources = [source for source in submission.sources.values() if source.problem is None]
    found: list[Credit] = []
    for source, function in _builders(sources):
        tables = _tables([s.syntax for s in sources], function) if _is_called(function.name, sources) else None
        if tables is None:
            continue
        step = _step(source, function.lineno, "the table of bytes per token is made here")
        found += _excess(tables.bytes.tolist(), (step,))  # what is added later only adds
        found += sums_overcredit(sources, tables, step)
    return found


def tables_from_files(submission: Submission) -> Iterator[Step]:
    """Lines that take a table of bytes per token, by that key, from a file that was loaded."""
    for source in submission.sources.values():
        if source.problem is not None or "base_bytes" not in source.text or ".load(" not in source.text:
            continue
        for node in source.nodes:
            if not (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)):
                continue
            if node.slice.value == "base_bytes":
                yield _step(source, node.lineno, "the table of bytes per token is read from a file")


def own_tokenizers(submission: Submission) -> Iterator[Step]:
    """Tokenizers of the submission's own making that are read from a file which the folder does not hold."""
    sources = [source for source in submission.sources.values() if source.problem is None]
    if any(name in source.text for source in sources for name in _GIVES_PIECE):
        return
    shipped = {PurePosixPath(name).name for name in submission.files}
    for source in sources:
        missing = {name for name in _TOKENIZER_FILE.findall(source.text) if PurePosixPath(name).name not in shipped}
        for node in source.nodes if missing else ():
            if isinstance(node, ast.ClassDef) and "tokenizer" in node.name.lower() and _reads_a_file(node):
                why = f"the bytes of its tokens come from {min(missing)}, which is not in the folder"
                yield _step(source, node.lineno, why)


def _reads_a_file(node: ast.ClassDef) -> bool:
    called = (call.func for call in ast.walk(node) if isinstance(call, ast.Call))
    names = (func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in called)
    return not _READS.isdisjoint(names)


# -- tables ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tables:
    """A script's tables over the samples: bytes, whether a piece begins with a space, whether a token is no text."""

    bytes: Any
    spaces: Any
    boundary: Any


def _builders(sources: Sequence[Source]) -> Iterator[tuple[Source, ast.FunctionDef]]:
    """The innermost functions that ask a tokenizer for pieces."""
    for source in sources:
        if not any(name in source.text for name in _GIVES_PIECE):
            continue
        lines = [n.lineno for n in source.nodes if isinstance(n, ast.Attribute) and n.attr in _GIVES_PIECE]
        functions = [n for n in source.nodes if isinstance(n, ast.FunctionDef)]
        around = (max((f for f in functions if f.lineno <= line <= (f.end_lineno or 0)), key=lambda f: f.lineno,
                      default=None) for line in lines)  # fmt: skip
        yield from ((source, function) for function in dict.fromkeys(around) if function is not None)


def _tables(modules: Sequence[ast.Module], function: ast.FunctionDef) -> Tables | None:
    """What a function that makes the tables makes of the sample tokenizer; None where that cannot be told."""
    tokenizer = _tokenizer()
    owners = {
        n.value.id
        for n in ast.walk(function)
        if isinstance(n, ast.Attribute) and n.attr in _GIVES_PIECE and isinstance(n.value, ast.Name)
    }

    def guess(name: str, _: ast.AST | None) -> Any:
        if name in owners:
            return tokenizer
        return len(_PIECES) if "vocab" in name.lower() or "size" in name.lower() else UNKNOWN

    parameters = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    try:
        made, attributes = Interpreter(modules, guess).call_method(function, {n: guess(n, None) for n in parameters})
    except (HaltError, RecursionError):
        return None
    parts = list(made) if isinstance(made, tuple | list) else [made, *attributes.values()]
    arrays = [part for part in parts if isinstance(part, np.ndarray) and part.shape == (len(_PIECES),)]
    counts = next((a for a in arrays if a.dtype != bool and (a > 1).any()), None)
    flags = [a.astype(bool) for a in arrays if a is not counts]
    spaces = next((a for a in flags if a[_SPACED] and not a[_ORDINARY]), None)
    if counts is None or spaces is None:
        return None
    boundary = next((a for a in flags if a is not spaces), np.zeros(len(_PIECES), dtype=bool))
    return Tables(counts, spaces, boundary)


def _tokenizer() -> Native:
    controls, fallback = set(_CONTROLS), set(_BYTES)
    asks: dict[tuple[str, ...], Callable[..., Any]] = {
        ("is_control", "IsControl"): lambda i: int(i) in controls - {0},
        ("is_unknown", "IsUnknown"): lambda i: int(i) == 0,
        ("is_unused", "IsUnused"): lambda i: False,
        ("is_byte", "IsByte"): lambda i: int(i) in fallback,
        ("id_to_piece", "IdToPiece"): lambda i: _PIECES[int(i)],
        ("vocab_size", "get_piece_size", "GetPieceSize", "piece_size", "__len__"): lambda: len(_PIECES),
        ("piece_to_id", "PieceToId"): lambda p: _PIECES.index(p) if p in _PIECES else 0,
        ("unk_id",): lambda: 0,
        ("bos_id",): lambda: 1,
        ("eos_id",): lambda: 2,
        ("pad_id",): lambda: -1,
    }
    return Native({name: ask for names, ask in asks.items() for name in names})


def _is_called(name: str, sources: Sequence[Source]) -> bool:
    return name == "__init__" or any(f"{name}(" in source.text.replace(f"def {name}(", "") for source in sources)


# -- sums ------------------------------------------------------------------------------------------------------------


def sums_overcredit(sources: Sequence[Source], tables: Tables, made: Step) -> list[Credit]:
    """Sums over targets' bytes, each evaluated for every sample."""
    sums = ByteSums(sources, tables.bytes, tables.spaces, tables.boundary)
    found: list[Credit] = []
    for source in sources:
        for place in sums.candidates(source):
            credited = {token: sums.added(place, token, _ORDINARY) for token in _SAMPLES}
            known = {token: value for token, value in credited.items() if value is not None}
            if len(known) == len(_SAMPLES):
                step = _step(source, place.statement.lineno, "the bytes of the targets are added up here")
                found += _excess(known, (made, step))
    return found


def _excess(credited: Mapping[int, float] | Sequence[float], steps: tuple[Step, ...]) -> list[Credit]:
    """The first sample that is credited more than its bytes; what is many times more is no count of bytes."""
    for token in _SAMPLES:
        value, truth = credited[token], true_bytes(token)
        if truth * 1.001 < value <= _MOST * truth + 3:
            return [Credit(_PIECES[token].replace(_MARKER, " "), value, truth, steps)]
    return []


def _step(source: Source, line: int, why: str) -> Step:
    return Step(source.name, line, source.lines[line - 1].strip(), why)
