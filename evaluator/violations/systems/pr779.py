"""Pull request 779: hashed backoff mixer, score-first training of a few scales (systems.md 2.3).

Broken: C2. The training is score-first and legal. The mixer adds ``alpha`` times a ratio of two hash buckets, taken
for the target alone, to ``1 - alpha`` times the model's probability; over the vocabulary that ratio sums to anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from evaluator.violations.hashed import FLOOR, WIDTHS, HashedCounts, Int64, mixing_weight
from evaluator.violations.readout import Span
from evaluator.violations.run import PublishedRun
from evaluator.violations.training import Trainer

PRIMES = (36313, 27191, 51647, 81929, 131071, 174763, 233017)
_WARM = 100


@dataclass(frozen=True, slots=True)
class Settings:
    """What the published code reads from its environment.

    Attributes:
        buckets: per table, a power of two.
        ranks: data-parallel ranks that share a training step; the tables are the same on each.
        temperature: for the logits, see :class:`~evaluator.violations.readout.ModelReadout`.
    """

    buckets: int = 4_194_304
    ranks: int = 8
    temperature: float = 0.98


def run(run: PublishedRun, settings: Settings) -> Trainer | None:
    """Score a chunk, count it, train on it."""
    counts = HashedCounts(settings.buckets, PRIMES)
    mixer = Mixer(run, counts)
    readout, trainer = run.readout(temperature=settings.temperature), run.trainer(settings.ranks)
    chunks = run.plan.chunks(run.scoring.chunk)
    for number, windows in enumerate(chunks):
        for span in readout.spans(windows):
            mixer.score(span)
        start = number * run.scoring.chunk
        stop = min(start + run.scoring.chunk, run.plan.positions)
        mixer.count(start, stop)
        if trainer and run.scoring.ttt and number < len(chunks) - 1:
            cosine = 0.5 * (1 + math.cos(math.pi * number / max(len(chunks) - 1, 1)))
            trainer.train(start, stop, run.scoring.ttt.lr * cosine)
    return trainer


class Mixer:
    """The published mixer: counts chunk by chunk, looks up target by target."""

    def __init__(self, run: PublishedRun, counts: HashedCounts) -> None:
        self.scores, self.tokens, self.counts = run.scores, run.tokens, counts
        self.model_vocab = run.vocab_size
        self.vocab_size = int(run.tokens.max()) + 1  # the published code's V, of its uniform fallback
        self.counted = 0

    def score(self, span: Span) -> None:
        """Mix, enter, and sum up at the sampled positions."""
        positions = np.arange(span.first, span.stop)
        targets = self.tokens[span.first + 1 : span.stop + 1]
        keys = self.counts.keys(self.tokens, positions)
        present = self._present(positions - span.start)
        if self.counted < _WARM:
            nll = -span.target
            weight = np.zeros(len(positions))
        else:
            ratio, hit = self.counts.ratio(keys, targets, present)
            weight = mixing_weight(span.entropy)
            mixed = (1 - weight) * np.exp(span.target) + weight * np.where(hit, ratio, 1 / self.vocab_size)
            nll = -np.log(np.maximum(mixed, FLOOR))
        for position in self.scores.samples(span.first, span.stop):
            i = position - span.first
            every, hits = self.counts.ratios(keys[:, i], self.model_vocab, present[:, i])
            p = (1 - weight[i]) * span.row(i) + weight[i] * (every if hits else 1 / self.vocab_size)
            self.scores.sum_up(position, int(targets[i]), np.maximum(p, FLOOR), float(nll[i]))
        self.scores.enter(span.first, nll)

    def count(self, start: int, stop: int) -> None:
        """Count the chunk's tokens; no n-gram crosses its borders."""
        positions = np.arange(start, stop - 1)
        present = np.array([positions - start >= width - 1 for width in WIDTHS])
        self.counts.update(self.counts.keys(self.tokens, positions), self.tokens[start + 1 : stop], present)
        self.counted += stop - start

    @staticmethod
    def _present(offset: Int64) -> np.typing.NDArray[np.bool_]:
        """The published code asks for one token more than the context has."""
        return np.array([offset >= width for width in WIDTHS])
