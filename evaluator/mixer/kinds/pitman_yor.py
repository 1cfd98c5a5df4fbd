"""Recursive Pitman-Yor mixture over exact counts, with the network's softmax as the base measure.

With ``n`` the count of the context of ``k`` tokens, ``D`` its distinct followers and ``m(a)`` the count of ``a`` among them,

    p_k(a) = [max(m(a) - d, 0) + (theta + d D) p_{k-1}(a)] / (n + theta),    p_{-1} = the network,

and a context never seen passes ``p_{k-1}`` on. Summing over ``a``: ``[n - d D + theta + d D] / (n + theta) = 1``, for any
``0 <= d < 1`` and ``theta > 0``, so both may be any function of the prefix. (Teh 2006, "A hierarchical Bayesian language
model based on Pitman-Yor processes", with one table per dish; interpolated Kneser-Ney is theta = 0.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from evaluator.ledger import ScoredTokens, Tokens
from evaluator.mixer.base import BaseScores, Float64, Mixer
from evaluator.mixer.checks import check_learnable, check_tokens, span_values
from evaluator.mixer.counts import CausalCounts
from evaluator.mixer.kernels import pitman_yor as kernel


@dataclass(frozen=True, slots=True)
class Settings:
    """How the mixture is made and how it learns.

    Attributes:
        order: longest context, in tokens.
        openness: initial weight of the counts against what they back off to, roughly and at every order, in (0, 1). Small: the
            network speaks alone until scored tokens have shown what the counts are worth.
        rate: Adagrad's step in ``logit d`` and ``log theta``; 0 keeps the initial strengths.
        batch: positions per step.
    """

    order: int = 6
    openness: float = 0.01
    rate: float = 0.5
    batch: int = 256

    def __post_init__(self) -> None:
        if not 0 < self.openness < 1:
            raise ValueError(f"openness lies between 0 and 1, not at {self.openness}")
        if self.rate < 0 or self.batch < 1:
            raise ValueError("rate is 0 or more and batch 1 or more")


_INITIAL_DISCOUNTS = (0.5, 0.7, 0.8, 0.85, 0.9, 0.92, 0.94)
"""By context length; longer contexts take the last one."""


class PitmanYor(Mixer):
    """See the module.

    Strengths differ by context length and by the power of two below the context's count; they are learned by gradient ascent on
    the log-likelihood of the tokens that were scored, in :meth:`learn` only. Concentrations are kept relative to that power
    of two, so that one value of the parameter means one weight of the counts whatever their size, and a network that
    knows better than a whole order of contexts can silence it.

    Memory: the counts (see :class:`CausalCounts`), and ``12 * (order + 1) + 8`` bytes per position scored and not yet learned
    from.
    """

    name: ClassVar[str] = "pitman_yor"

    def __init__(self, tokens: Tokens, vocab_size: int, settings: Settings) -> None:
        check_tokens(tokens, vocab_size)
        self.position = 0
        self._learned = 0
        self._settings = settings
        self._vocab_size = vocab_size
        self._counts = CausalCounts(tokens, settings.order)
        self._bases: list[Float64] = []  # log-probabilities of the targets of positions learned .. position - 1
        shape = (settings.order + 1, kernel.BUCKETS)
        self._parameters = np.empty((2, *shape))
        for k in range(settings.order + 1):
            discount = _INITIAL_DISCOUNTS[min(k, len(_INITIAL_DISCOUNTS) - 1)]
            self._parameters[0, k] = np.log(discount / (1.0 - discount))
        self._parameters[1] = np.log((1.0 - settings.openness) / settings.openness)
        self._squares = np.zeros_like(self._parameters)
        self._strengths = kernel.Strengths(np.empty(shape), np.empty(shape))
        kernel.set_strengths(self._parameters, self._strengths)

    @property
    def parameters(self) -> Float64:
        """What was learned so far: ``logit d`` and ``log (theta / 2^bucket)``, float64 ``(2, order + 1, buckets)``; a copy."""
        return self._parameters.copy()

    def prepare(self, stop: int) -> None:
        self._counts.count(stop)

    def log_prob(self, stop: int, base: BaseScores) -> Float64:
        target = np.array(span_values("target", base.target, self.position, stop))
        scores = np.empty_like(target)
        for start, rows in self._counts.rows(self.position, stop):
            here = slice(start - self.position, start - self.position + len(rows))
            kernel.score(rows, target[here], self._strengths, scores[here])
        self._bases.append(target)
        self.position = stop
        return scores

    def distribution(self, base: Float64, entropy: float | None = None) -> Float64:
        p = np.exp(base)
        for k, m in enumerate(self._counts.followers(self.position, self._vocab_size)):
            n, D = int(m.sum()), int(np.count_nonzero(m))
            if n == 0:
                break
            j = kernel.bucket(n)
            d, theta = self._strengths.d[k, j], self._strengths.theta[k, j]
            p = (np.maximum(m - d, 0.0) + (theta + d * D) * p) / (n + theta)
        return p

    def learn(self, scored: ScoredTokens) -> None:
        check_learnable(scored, self._learned, self.position)
        bases = np.concatenate([*self._bases, np.empty(0)])
        here, self._bases = np.split(bases, [len(scored.nll)])[0], [bases[len(scored.nll) :]]
        if self._settings.rate > 0 and len(here):
            rows = np.concatenate([piece for _, piece in self._counts.rows(scored.start, scored.stop)])
            kernel.ascend(
                rows, here, self._settings.batch, self._settings.rate, self._parameters, self._squares, self._strengths
            )
        self._learned = scored.stop
        self._counts.release(scored.stop)


def build(tokens: Tokens, vocab_size: int, settings: Settings) -> PitmanYor:
    """The mixer at position 0."""
    return PitmanYor(tokens, vocab_size, settings)
