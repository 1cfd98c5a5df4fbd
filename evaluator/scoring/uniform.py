"""No model: a uniform distribution in the network's place (`evaluate --model none`).

Shows what a mixer makes of the stream alone.
"""

from __future__ import annotations

import math

import numpy as np

from evaluator.ledger import Tokens
from evaluator.mixer.base import BaseScores, Float64
from evaluator.scoring.network import ChunkScores
from evaluator.scoring.windows import WindowPlan


class Uniform:
    """Says ``1 / V`` of every token; has the interface of :class:`~evaluator.scoring.network.Network`.

    Args:
        tokens: uint16 ``(T + 1,)``.
        plan: the windows; they decide which position is scored in which chunk, nothing else.
        vocab_size: ``V``.
    """

    def __init__(self, tokens: Tokens, plan: WindowPlan, vocab_size: int) -> None:
        self.tokens, self.plan, self.vocab_size = tokens, plan, vocab_size

    def score(self, windows: range) -> ChunkScores:
        """Constants for the scored positions of ``windows``."""
        position = np.concatenate([np.arange(self.plan.first[w], self.plan.stop[w]) for w in windows])
        level = np.full(len(position), math.log(self.vocab_size))
        return ChunkScores(position, BaseScores(-level, level, -level))

    def row(self, window: int, windows: range, position: int) -> Float64:
        """``ln(1 / V)``, ``(V,)``."""
        return np.full(self.vocab_size, -math.log(self.vocab_size))
