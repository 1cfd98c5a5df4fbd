"""Scores that divide by a fixed number of bytes for each token, whatever the text.

``loss / math.log(2) / 3.5`` is bits per byte of a text whose tokens have 3.5 bytes each. No text is looked at; where
the tokenizer's own text has fewer, the score falls by the same factor.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from auditor.findings import Step
from auditor.submission import Source, Submission

_SCORE = re.compile(r"bpb|bits_per_byte", re.IGNORECASE)
_BYTES = re.compile(r"byte|char|utf", re.IGNORECASE)
_COUNTS = re.compile(r"base_bytes|byte_?(?:count|sum|lut|len|table)|bytes_lut|tok(?:en)?_bytes|sentencepiece_luts")
"""How scripts call what counts the bytes of tokens: one that has it does not need a guess for its score."""
_SIZE = re.compile(r"(?:\w*_)?vocab(?:_?size)?", re.IGNORECASE)
_NAMED = re.compile(r"_sp(\d{3,5})(?!\d)")
_LEAST, _MOST = 1.2, 8.0
"""Bytes per token of subword tokenizers; other factors are units and averages."""


@dataclass(frozen=True, slots=True)
class Density:
    """Bytes that a script credits each token without looking at it.

    Attributes:
        bytes_per_token: the number.
        step: the line that divides by it.
    """

    bytes_per_token: float
    step: Step


def fixed_densities(submission: Submission) -> list[Density]:
    """Every computed score of a submission that counts no bytes, if it has no other."""
    sources = [source for source in submission.sources.values() if source.problem is None]
    if any(_COUNTS.search(source.text) for source in sources):
        return []
    found: list[Density] = []
    for source in sources:
        numbers = _numbers(source)
        for node in source.nodes:
            if not isinstance(node, ast.Assign) or not any(map(_names_a_score, node.targets)):
                continue
            if not isinstance(node.value, ast.BinOp | ast.Call):
                continue  # a copy of a score, or an input to one
            product = _Product(numbers).times(node.value)
            if product.is_computed:
                density = product.density
                if density is None:
                    return []  # a score that is made in another way
                text = source.lines[node.lineno - 1].strip()
                step = Step(source.name, node.lineno, text, "the score divides by a number of tokens times a constant")
                found.append(Density(density, step))
    return found


def vocabulary_sizes(submission: Submission) -> set[int]:
    """Numbers of pieces that scripts give their tokenizer, by the names of settings and of data sets."""
    sizes: set[int] = set()
    for source in submission.sources.values():
        if source.problem is None:
            sizes.update(int(digits) for digits in _NAMED.findall(source.text))
            sizes.update(
                value
                for node in source.nodes
                if isinstance(node, ast.Assign | ast.AnnAssign)
                for name in _targets(node)
                if _SIZE.fullmatch(name)
                for value in _constants(node.value)
                if isinstance(value, int)
            )
    return sizes


@dataclass
class _Product:
    """A product of known numbers and of what a run computes.

    Attributes:
        numbers: constants by name.
        factor: product of the known numbers.
        nats: power of ln 2 in it.
        guessed: whether a known number is one that somebody measured: no whole number, or named after bytes.
        unknown: names of what is not known.
    """

    numbers: Mapping[str, float]
    factor: float = 1.0
    nats: int = 0
    guessed: bool = False
    unknown: set[str] = field(default_factory=set)

    def times(self, node: ast.expr, power: int = 1) -> _Product:
        """Multiply by an expression, or divide by it."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
            self.times(node.left, power)
            self.times(node.right, power if isinstance(node.op, ast.Mult) else -power)
        elif isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value:
            self._scale(float(node.value), power, guessed=not float(node.value).is_integer())
        elif isinstance(node, ast.Name) and self.numbers.get(node.id):
            number = self.numbers[node.id]
            guessed = bool(_BYTES.search(node.id)) or not number.is_integer()
            self._scale(number, power, guessed=guessed)
        elif isinstance(node, ast.Call) and _is_ln2(node):
            self.nats += power
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"float", "max"}:
            self.times(node.args[0], power) if node.args else None
        else:
            self.unknown |= set(_identifiers(node))
        return self

    def _scale(self, number: float, power: int, *, guessed: bool) -> None:
        self.factor *= number**power
        self.guessed |= guessed

    @property
    def is_computed(self) -> bool:
        """Whether a run has a part in it, other than by another score."""
        return bool(self.unknown) and not all(_SCORE.search(name) for name in self.unknown)

    @property
    def density(self) -> float | None:
        """Bytes per token, where nothing in it counts bytes."""
        if not self.guessed or self.nats not in {0, -1} or any(_BYTES.search(name) for name in self.unknown):
            return None
        return 1 / self.factor if _LEAST < 1 / abs(self.factor) < _MOST and self.factor > 0 else None


def _is_ln2(node: ast.Call) -> bool:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    values = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
    return name == "log" and len(values) == 1 and isinstance(values[0], int | float) and math.isclose(values[0], 2)


def _names_a_score(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and _SCORE.search(target.id) is not None


def _identifiers(node: ast.expr) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr


def _targets(node: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _constants(node: ast.expr | None) -> Iterator[object]:
    """The number that an assignment gives, or the default in ``int(os.environ.get("VOCAB_SIZE", 1024))``."""
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.Constant):
            yield int(part.value) if isinstance(part.value, str) and part.value.isdecimal() else part.value


def _numbers(source: Source) -> dict[str, float]:
    """Names that are given one number in a script and nothing else."""
    found: dict[str, float] = {}
    several: set[str] = set()
    for node in source.nodes:
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            continue
        names = [node.target.id] if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) else []
        names = names or (_targets(node) if not isinstance(node, ast.AugAssign) else [])
        for name in names:
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            number = isinstance(value, int | float) and not isinstance(node, ast.AugAssign)
            if name in found or not number:
                several.add(name)
            else:
                found[name] = float(value)  # type: ignore[arg-type]  # it is a number
    return {name: number for name, number in found.items() if name not in several}
