"""Pull request 940: train on everything, then score everything, with a hashed backoff mixer (systems.md 3.3).

Broken: C1 and C3, because the pass that is called score-first scores nothing and the number reported comes from a
second pass with the final weights; C4, because that is a second pass; C2 as in #779. Each rank's tables start empty at
its share of the stream, so the result depends on the number of ranks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluator.violations.hashed import FLOOR, WIDTHS, HashedCounts, mixing_weight
from evaluator.violations.readout import Span
from evaluator.violations.run import PublishedRun
from evaluator.violations.training import Trainer

PRIMES = (36313, 27191, 51647, 81929, 131071, 175447, 209591)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the published run had.

    Attributes:
        buckets: per table, a power of two.
        ranks: each trains on its share of a chunk and scores its share of the stream with tables of its own.
    """

    buckets: int = 4_194_304
    ranks: int = 8


def run(run: PublishedRun, settings: Settings) -> Trainer | None:
    """Train on every chunk; then score, every rank its share."""
    trainer = run.trainer(settings.ranks)
    positions, chunk = run.plan.positions, run.scoring.chunk
    if trainer and run.scoring.ttt:
        for start in range(0, positions - run.scoring.windows.length, chunk):
            trainer.train(start, min(start + chunk, positions), run.scoring.ttt.lr)
    readout = run.readout()
    edges = [len(run.plan) * rank // settings.ranks for rank in range(settings.ranks + 1)]
    for rank in range(settings.ranks):
        counts = HashedCounts(settings.buckets, PRIMES)
        for span in readout.spans(range(edges[rank], edges[rank + 1])):
            _score(run, counts, span)
    return trainer


def _score(run: PublishedRun, counts: HashedCounts, span: Span) -> None:
    """Mix, enter, and count right away: the next window sees it."""
    positions = np.arange(span.first, span.stop)
    targets = run.tokens[span.first + 1 : span.stop + 1]
    keys = counts.keys(run.tokens, positions)
    present = np.array([positions + 1 >= width for width in WIDTHS])
    ratio, hit = counts.ratio(keys, targets, present)
    weight = np.where(hit, mixing_weight(span.entropy), 0.0)
    nll = -np.log(np.clip((1 - weight) * np.exp(span.target) + weight * ratio, FLOOR, 1.0))
    for position in run.scores.samples(span.first, span.stop):
        i = position - span.first
        every, _ = counts.ratios(keys[:, i], run.vocab_size, present[:, i])
        p = (1 - weight[i]) * span.row(i) + weight[i] * every
        run.scores.sum_up(position, int(targets[i]), np.clip(p, FLOOR, 1.0), float(nll[i]))
    run.scores.enter(span.first, nll)
    counts.update(keys, targets, present)
