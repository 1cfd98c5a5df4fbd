"""The interface of a mixer: what turns the network's distribution into the scored one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from evaluator.ledger import ScoredTokens

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class BaseScores:
    """What the network says of ``n`` consecutive positions; all natural logarithms, float64, shape ``(n,)``.

    Attributes:
        target: log-probability of the target token.
        entropy: entropy (nats) of the network's distribution; present if the mixer's ``needs_entropy`` is set.
        hint: log-probability of the mixer's hint token; present if the mixer has ``hints``; where there is no hint
            (id -1) the value is ignored.
    """

    target: Float64
    entropy: Float64 | None = None
    hint: Float64 | None = None


class Mixer(ABC):
    """A causal, normalised mixture of the network with statistics of the stream's own prefix.

    A mixer walks the stream once, left to right. At ``position`` p it may use ``tokens[: p + 1]`` (the inputs up to p)
    and what it learned from :class:`ScoredTokens`; it predicts ``tokens[p + 1]``. Scoring (:meth:`log_prob`) needs only
    the target's probability; :meth:`distribution` gives the whole of it, for proof, by the same formula.

    Promises, held by property tests for every mixer: ``distribution`` sums to 1 within 1e-9 in float64 for any base
    that does; its value at the target equals ``exp(log_prob)``; rewriting ``tokens[p + 1:]`` changes no value at or
    before p.

    Attributes:
        name: the name under which presets select it.
        needs_entropy: whether :attr:`BaseScores.entropy` must be given.
        position: the next position to be scored.
        hints: int32 ``(T,)`` hint token per position (-1: none), or None for mixers without hints. ``hints[p]`` is a
            function of ``tokens[: p + 1]`` only.
    """

    name: ClassVar[str]
    needs_entropy: ClassVar[bool] = False
    position: int
    hints: Int32 | None = None

    def prepare(self, stop: int) -> None:  # noqa: B027 - optional by design
        """Count statistics for positions before ``stop`` ahead of time; may run in a thread beside the network."""

    @abstractmethod
    def log_prob(self, stop: int, base: BaseScores) -> Float64:
        """Log-probabilities (nats) of the targets of positions ``self.position .. stop - 1``; advances to ``stop``."""

    @abstractmethod
    def distribution(self, base: Float64, entropy: float | None = None) -> Float64:
        """The whole distribution at ``self.position``, shape ``(V,)``, given the network's log-probabilities ``(V,)``.

        ``entropy`` is that of the base (nats), taken as given by mixers with ``needs_entropy``. Does not advance.
        """

    @abstractmethod
    def learn(self, scored: ScoredTokens) -> None:
        """Adapt what is learned (strengths, discounts) from tokens that were scored since the last call."""
