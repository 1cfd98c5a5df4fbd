"""No mixer: the network's distribution is the scored one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evaluator.ledger import ScoredTokens, Tokens
from evaluator.mixer.base import BaseScores, Float64, Mixer
from evaluator.mixer.checks import Learning, check_tokens, span_values


@dataclass(frozen=True, slots=True)
class Settings:
    """Nothing can be set."""


class NoMixer(Mixer):
    """Passes the base through."""

    name: ClassVar[str] = "none"

    def __init__(self) -> None:
        self.position = 0
        self._learning = Learning()

    def log_prob(self, stop: int, base: BaseScores) -> Float64:
        """The base's own scores."""
        target = span_values("target", base.target, self.position, stop)
        self.position = stop
        return target.copy()

    def distribution(self, base: Float64, entropy: float | None = None) -> Float64:
        """The base."""
        return np.exp(base)

    def learn(self, scored: ScoredTokens) -> None:
        """Nothing to learn."""
        self._learning.take(scored, self.position)


def build(tokens: Tokens, vocab_size: int, settings: Settings) -> NoMixer:
    """The mixer at position 0."""
    check_tokens(tokens, vocab_size)
    return NoMixer()
