"""The scoring process of a published system: ``python -m evaluator.violations.worker JOB``.

One process, whatever the number of ranks that it emulates. It reports through the same events as the official one.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from evaluator.job import Done, Job, Progress, emit
from evaluator.refusal import Refused, refusing
from evaluator.scoring.ranks import Ranks
from evaluator.scoring.windows import plan_windows
from evaluator.violations.run import PublishedRun, run_published
from evaluator.violations.scores import Scores
from evaluator.worker import main, open_when_told, vocabulary


def run(job: Job, ranks: Ranks) -> None:
    """Run the published system; leave its scores in the job's folder."""
    if job.published is None:
        raise Refused("bad-settings", "the job names no published system")
    model, stream, read = open_when_told(job, ranks)
    clock = time.perf_counter()
    positions = stream.positions
    if job.published.drop_tail:
        positions -= positions % job.settings.windows.length
    tokens, credited = stream.tokens[: positions + 1], stream.credited[:positions]

    def report(scores: Scores) -> None:
        emit(
            job.events,
            Progress(scores.position, positions, scores.total, scores.credited_bytes, scores.scored),
        )

    scores = Scores(credited, report)
    with refusing("bad-settings"):
        plan = plan_windows(job.settings.windows, positions)
        vocab_size = vocabulary(model, stream)
        trainer = run_published(
            PublishedRun(model, vocab_size, tokens, credited, plan, job.settings, scores), job.published
        )
    np.save(job.scores, scores.nll)
    emit(
        job.events,
        Done(
            exactly_once=scores.exactly_once and positions == stream.positions,
            total=scores.total,
            scored=scores.scored,
            credited_bytes=scores.credited_bytes,
            phases={"read": read, "published": time.perf_counter() - clock},
            sums=sorted(scores.masses),
            steps=trainer.steps if trainer else 0,
            adapted=trainer.adapted if trainer else 0,
        ),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], run))
