"""Recursive Pitman-Yor mixture over exact counts, with the network's softmax as the base measure.

With ``n`` the count of the context of ``k`` tokens, ``D`` its distinct followers and ``m(a)`` the count of ``a`` there,

    p_k(a) = [max(m(a) - d, 0) + (theta + d D) p_{k-1}(a)] / (n + theta),    p_{-1} = the network,

and a context never seen passes ``p_{k-1}`` on. Summing over ``a``: ``[n - d D + theta + d D] / (n + theta) = 1`` for
any ``0 <= d < 1`` and ``theta > 0``, so both may be any function of the prefix. (Teh 2006, "A hierarchical Bayesian
language model based on Pitman-Yor processes", with one table per dish.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evaluator.ledger import ScoredTokens, Tokens
from evaluator.mixer.base import BaseScores, Float64, Mixer
from evaluator.mixer.checks import Learning, check_tokens, span_values
from evaluator.mixer.counts import CausalCounts, Rows
from evaluator.mixer.kernels import adagrad
from evaluator.mixer.kernels import pitman_yor as kernel


@dataclass(frozen=True, slots=True)
class Settings:
    """How the mixture is made and how it learns.

    Attributes:
        order: longest context, in tokens.
        openness: initial weight of the counts, about, at every order, in (0, 1). Small: the network speaks alone until
            scored tokens have shown what the counts are worth.
        rate: Adagrad's step in ``logit d`` and ``log theta``; 0 keeps the initial strengths.
        batch: positions per step.
    """

    order: int = 6
    openness: float = 0.0005
    rate: float = 1.0
    batch: int = 256

    def __post_init__(self) -> None:
        if not 0 < self.openness < 1:
            raise ValueError(f"openness lies between 0 and 1, not at {self.openness}")
        if self.rate < 0 or self.batch < 1:
            raise ValueError("rate is 0 or more and batch 1 or more")


_INITIAL_DISCOUNTS = (0.5, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94)
"""By context length; longer contexts take the last one."""

_INITIAL_SQUARES = 1e-8
"""Adagrad's. Next to nothing: the first evidence moves a strength by the whole of ``rate``."""


class PitmanYor(Mixer):
    """See the module.

    Strengths differ by the context's length, by the power of two below its count and by the variety of its followers;
    they are learned by gradient ascent on the log-likelihood of the tokens that were scored, in :meth:`learn` only.
    Concentrations are kept relative to that power of two, so that one value of the parameter means one weight of the
    counts whatever their size, and a network that knows better than a whole order of contexts can silence it.

    Memory: that of the counts (:class:`CausalCounts`), whose rows are kept until they are learned from.
    """

    name: ClassVar[str] = "pitman_yor"

    def __init__(self, tokens: Tokens, vocab_size: int, settings: Settings) -> None:
        check_tokens(tokens, vocab_size)
        self.position = 0
        self._learning = Learning()
        self._settings = settings
        self._vocab_size = vocab_size
        self._counts = CausalCounts(tokens, settings.order)
        shape = (settings.order + 1, kernel.BUCKETS)
        self._parameters = np.empty((2, *shape))
        for k in range(settings.order + 1):
            discount = _INITIAL_DISCOUNTS[min(k, len(_INITIAL_DISCOUNTS) - 1)]
            self._parameters[0, k] = np.log(discount / (1.0 - discount))
        self._parameters[1] = np.log((1.0 - settings.openness) / settings.openness)
        self._squares = np.full_like(self._parameters, _INITIAL_SQUARES)
        self._strengths = kernel.Strengths(np.empty(shape), np.empty(shape))
        kernel.set_strengths(self._parameters, self._strengths)

    @property
    def parameters(self) -> Float64:
        """What was learned so far, ``logit d`` and ``log(theta / 2^c)``; float64 ``(2, order + 1, buckets)``."""
        return self._parameters.copy()

    def prepare(self, stop: int) -> None:
        """Count ahead."""
        self._counts.count(stop)

    def log_prob(self, stop: int, base: BaseScores) -> Float64:
        """Scores from the rows of the counts and the strengths as they stand."""
        target = span_values("target", base.target, self.position, stop)
        scores = np.empty_like(target)
        for start, rows in self._counts.rows(self.position, stop):
            here = slice(start - self.position, start - self.position + len(rows))
            kernel.score(rows, target[here], self._strengths, scores[here])
        self._learning.append(target)
        self.position = stop
        return scores

    def distribution(self, base: Float64, entropy: float | None = None) -> Float64:
        """The recursion on every token, with counts found independently of the tables."""
        p = np.exp(base)
        for k, m in enumerate(self._counts.followers(self.position, self._vocab_size)):
            n, D = int(m.sum()), int(np.count_nonzero(m))
            if n > 0:
                j = kernel.bucket(n, D)
                d, theta = self._strengths.d[k, j], self._strengths.theta[k, j]
                p = (np.maximum(m - d, 0.0) + (theta + d * D) * p) / (n + theta)
        return p

    def learn(self, scored: ScoredTokens) -> None:
        """One pass of Adagrad over the scored tokens."""
        base = self._learning.take(scored, self.position)
        if self._settings.rate > 0 and len(base):
            rows = np.concatenate([piece for _, piece in self._counts.rows(scored.start, scored.stop)])
            for start in range(0, len(base), self._settings.batch):
                here = slice(start, start + self._settings.batch)
                self._step(rows[here], base[here])
        self._counts.release(scored.stop)

    def _step(self, rows: Rows, base: Float64) -> None:
        """Move the strengths uphill on the likelihood of the targets of ``rows``."""
        slope = np.zeros_like(self._parameters)
        kernel.add_gradient(rows, base, self._strengths, slope)
        bounds = (-kernel.LIMIT, kernel.LIMIT)
        adagrad.ascend(
            self._parameters.ravel(), slope.ravel(), self._squares.ravel(), float(self._settings.rate), bounds
        )
        kernel.set_strengths(self._parameters, self._strengths)


def build(tokens: Tokens, vocab_size: int, settings: Settings) -> PitmanYor:
    """The mixer at position 0."""
    return PitmanYor(tokens, vocab_size, settings)
