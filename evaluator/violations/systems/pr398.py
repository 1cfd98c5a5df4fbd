"""Pull request 398: train on the whole validation set, then score it (systems.md 1.3).

Broken: C1 and C3, because every scored token and everything after it was trained on before; C4, because windows W-A
score the last positions again.
"""

from __future__ import annotations

from dataclasses import dataclass

from evaluator.violations.run import PublishedRun
from evaluator.violations.training import Trainer


@dataclass(frozen=True, slots=True)
class Settings:
    """Attributes: ranks: data-parallel ranks that share a training step."""

    ranks: int = 8


def run(run: PublishedRun, settings: Settings) -> Trainer | None:
    """All epochs, then all scores."""
    trainer = run.trainer(settings.ranks)
    if trainer and run.scoring.ttt:
        trainer.train(0, run.plan.positions, run.scoring.ttt.lr)
    for span in run.readout().spans(range(len(run.plan))):
        for position in run.scores.samples(span.first, span.stop):
            i = position - span.first
            run.scores.sum_up(position, int(run.tokens[position + 1]), span.row(i), -float(span.target[i]))
        run.scores.enter(span.first, -span.target)
    return trainer
