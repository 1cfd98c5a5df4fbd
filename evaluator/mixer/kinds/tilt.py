"""One hinted token per position, boosted inside the softmax.

For a hint ``h`` and a boost ``beta >= 0`` that depend on the prefix only,

    p'(a) = p(a) e^{beta [a = h]} / (1 + p(h) (e^beta - 1)):

the numerators sum to ``1 - p(h) + e^beta p(h)``, which is the denominator. The hint is the most frequent follower of
the longest context seen before. The legal part of the family of pull requests 1145, 1514 and 2140; theirs boost by a
constant chosen beforehand, here the boost is learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evaluator.ledger import ScoredTokens, Tokens
from evaluator.mixer.base import BaseScores, Float64, Int32, Mixer
from evaluator.mixer.checks import Learning, check_tokens, span_values
from evaluator.mixer.kernels import adagrad, trie
from evaluator.mixer.kernels import tilt as kernel
from evaluator.mixer.tables import advance, check_stream, new_tables


@dataclass(frozen=True, slots=True)
class Settings:
    """Where there is a hint, and how its boost is learned.

    Attributes:
        order: longest context, in tokens.
        min_count: occurrences that a context needs; the longest that has them is asked.
        min_confidence: share of the context's occurrences that the hint must have followed.
        beta: initial boost, in nats.
        rate: Adagrad's step in beta; 0 keeps the initial boost.
        batch: positions per step.
    """

    order: int = 16
    min_count: int = 1
    min_confidence: float = 0.0
    beta: float = 0.0
    rate: float = 0.25
    batch: int = 256

    def __post_init__(self) -> None:
        if self.min_count < 1 or not 0 <= self.min_confidence <= 1:
            raise ValueError("min_count is 1 or more and min_confidence between 0 and 1")
        if not 0 <= self.beta <= _MAX_BETA:
            raise ValueError(f"beta lies between 0 and {_MAX_BETA}, not at {self.beta}")
        if self.rate < 0 or self.batch < 1:
            raise ValueError("rate is 0 or more and batch 1 or more")


_MAX_BETA = 20.0
_INITIAL_SQUARES = 4.0
"""A boost that a handful of tokens ask for is small."""


class Tilt(Mixer):
    """See the module. One boost for each bucket of the context's length, of its count and of the hint's share of it.

    Memory: the tables of the counts, with 8 more bytes per node, while the hints are made; then 6 bytes per position.

    Attributes:
        hints: int32 ``(T,)``; ``hints[p]`` is a function of ``tokens[: p + 1]`` only; -1: no hint.
    """

    name: ClassVar[str] = "tilt"

    def __init__(self, tokens: Tokens, vocab_size: int, settings: Settings) -> None:
        check_tokens(tokens, vocab_size)
        self.position = 0
        self._learning = Learning()
        self._settings = settings
        self._hints, self._buckets = _find_hints(tokens, settings)
        self.hints = self._hints
        self._hits = self._hints == tokens[1:]
        self._betas = np.full(trie.HINT_BUCKETS, float(settings.beta))
        self._squares = np.full_like(self._betas, _INITIAL_SQUARES)

    @property
    def parameters(self) -> Float64:
        """The boosts learned so far, float64 ``(lengths, counts, confidences)``, by bucket; a copy."""
        return self._betas.reshape(trie.LENGTHS, trie.COUNTS, trie.CONFIDENCES).copy()

    def log_prob(self, stop: int, base: BaseScores) -> Float64:
        """Scores from the base's scores of target and hint."""
        target = span_values("target", base.target, self.position, stop)
        hint = span_values("hint", base.hint, self.position, stop)
        here = slice(self.position, stop)
        scores = np.empty_like(target)
        kernel.score(target, hint, self._hits[here], self._buckets[here], self._betas, scores)
        self._learning.append(hint)
        self.position = stop
        return scores

    def distribution(self, base: Float64, entropy: float | None = None) -> Float64:
        """The formula on every token."""
        p = np.exp(base)
        if (hint := int(self._hints[self.position])) >= 0:
            boost = np.expm1(self._betas[self._buckets[self.position]])
            p /= 1.0 + p[hint] * boost
            p[hint] *= 1.0 + boost
        return p

    def learn(self, scored: ScoredTokens) -> None:
        """Move the boosts uphill on the likelihood of the scored tokens."""
        heard = self._learning.take(scored, self.position)
        for start in range(0, len(heard) if self._settings.rate > 0 else 0, self._settings.batch):
            stop = min(start + self._settings.batch, len(heard))
            here = slice(scored.start + start, scored.start + stop)
            slope = np.zeros_like(self._betas)
            kernel.add_gradient(heard[start:stop], self._hits[here], self._buckets[here], self._betas, slope)
            adagrad.ascend(self._betas, slope, self._squares, float(self._settings.rate), (0.0, _MAX_BETA))


def _find_hints(tokens: Tokens, settings: Settings) -> tuple[Int32, np.typing.NDArray[np.int16]]:
    """The hint of every position and its bucket, -1 for none: int32 and int16 ``(T,)``."""
    stream = check_stream(tokens, settings.order)
    positions = len(stream) - 1
    hints, buckets = np.full(positions, -1, np.int32), np.full(positions, -1, np.int16)
    advance(
        new_tables(stream, settings.order, tops=True),
        positions,
        lambda tables: trie.find_hints(
            stream, positions, tables, settings.min_count, float(settings.min_confidence), hints, buckets
        ),
    )
    return hints, buckets


def build(tokens: Tokens, vocab_size: int, settings: Settings) -> Tilt:
    """The mixer at position 0."""
    return Tilt(tokens, vocab_size, settings)
