"""Hard backoff over exact counts, with a weight that follows the network's entropy.

The legal counterpart of the hashed mixers of pull requests 779 and 940: their formula, on counts that are what they
say. With ``k*`` the longest context of at least one token that occurred ``min_count`` times or more,

    p(a) = (1 - alpha) p_network(a) + alpha m(a) / n,    alpha = low + span * sigmoid(slope * (H - middle)),

where ``n`` is that context's count, ``m(a)`` the count of ``a`` after it and ``H`` the entropy (nats) of the network's
distribution; without such a context the network speaks alone. ``alpha``, ``k*`` and ``n`` do not depend on ``a``, and
``sum m(a) = n``: the sum is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evaluator.ledger import ScoredTokens, Tokens
from evaluator.mixer.base import BaseScores, Float64, Mixer
from evaluator.mixer.checks import Learning, check_tokens, span_values
from evaluator.mixer.counts import CausalCounts
from evaluator.mixer.kernels import backoff as kernel


@dataclass(frozen=True, slots=True)
class Settings:
    """The constants of the formula; the defaults are those of the two pull requests.

    Attributes:
        order: longest context, in tokens.
        min_count: occurrences that a context needs.
        low: weight of the counts where the network is certain.
        span: what the weight gains where it is not.
        slope: steepness, per nat.
        middle: entropy of half the gain, in nats.
    """

    order: int = 6
    min_count: int = 2
    low: float = 0.05
    span: float = 0.55
    slope: float = 2.0
    middle: float = 4.0

    def __post_init__(self) -> None:
        if self.min_count < 1:
            raise ValueError(f"a context needs at least one occurrence, not {self.min_count}")
        if not (self.low >= 0 and self.span >= 0 and self.low + self.span < 1):
            raise ValueError("the weight of the counts, low to low + span, lies in [0, 1)")

    @property
    def constants(self) -> tuple[float, float, float, float]:
        """``(low, span, slope, middle)``."""
        return float(self.low), float(self.span), float(self.slope), float(self.middle)


class Backoff(Mixer):
    """See the module. Memory: that of the counts, see :class:`CausalCounts`."""

    name: ClassVar[str] = "backoff"
    needs_entropy: ClassVar[bool] = True

    def __init__(self, tokens: Tokens, vocab_size: int, settings: Settings) -> None:
        check_tokens(tokens, vocab_size)
        self.position = 0
        self._learning = Learning()
        self._settings = settings
        self._vocab_size = vocab_size
        self._counts = CausalCounts(tokens, settings.order)

    def prepare(self, stop: int) -> None:
        """Count ahead."""
        self._counts.count(stop)

    def log_prob(self, stop: int, base: BaseScores) -> Float64:
        """Scores from the rows of the counts, which are released."""
        target = span_values("target", base.target, self.position, stop)
        entropy = span_values("entropy", base.entropy, self.position, stop)
        scores = np.empty_like(target)
        for start, rows in self._counts.rows(self.position, stop):
            here = slice(start - self.position, start - self.position + len(rows))
            kernel.score(
                rows, target[here], entropy[here], self._settings.min_count, self._settings.constants, scores[here]
            )
        self._counts.release(stop)
        self.position = stop
        return scores

    def distribution(self, base: Float64, entropy: float | None = None) -> Float64:
        """The formula on every token, with counts found independently of the tables."""
        if entropy is None:
            raise ValueError("this mixer needs the base's entropy")
        followers = self._counts.followers(self.position, self._vocab_size)
        for m in followers[:0:-1]:
            if (n := int(m.sum())) >= self._settings.min_count:
                weight = kernel.alpha(entropy, self._settings.constants)
                return np.asarray((1.0 - weight) * np.exp(base) + weight * m / n)
        return np.exp(base)

    def learn(self, scored: ScoredTokens) -> None:
        """Nothing to learn."""
        self._learning.take(scored, self.position)


def build(tokens: Tokens, vocab_size: int, settings: Settings) -> Backoff:
    """The mixer at position 0."""
    return Backoff(tokens, vocab_size, settings)
