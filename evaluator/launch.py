"""torchrun for one evaluation: ``python -m evaluator.launch JOB TORCHRUN-OPTIONS...``.

The launcher is torchrun's own (its command line, its rendezvous, its agent); all that is added is that a dead rank is
named in the events file, which torchrun itself only prints.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.run import get_args_parser, run

from evaluator.job import Failed, Job, emit
from evaluator.processes import die_with_parent


def main(arguments: list[str]) -> int:
    """Run the job on the processes that torchrun's options describe."""
    die_with_parent()
    job_file, *options = arguments
    # One thread per process is what makes the bits independent of the number of processes.
    os.environ["OMP_NUM_THREADS"] = "1"
    parsed = get_args_parser().parse_args([*options, "-m", "evaluator.worker", job_file])
    try:
        run(parsed)  # type: ignore[no-untyped-call]  # torchrun ships no annotations
    except ChildFailedError as error:
        rank, failure = _culprit(error.failures)
        end = signal.Signals(-failure.exitcode).name if failure.exitcode < 0 else f"exit status {failure.exitcode}"
        emit(Job.load(Path(job_file)).events, Failed(rank, "died", "rank-died", f"rank {rank} died: {end}"))
        return 1
    return 0


def _culprit(failures: dict[int, ProcessFailure]) -> tuple[int, ProcessFailure]:
    """The rank that died of itself.

    torchrun ends the survivors with SIGTERM, and a rank that lost its peer raises: what another signal ended came
    first.
    """

    def order(item: tuple[int, ProcessFailure]) -> tuple[bool, bool, int, int]:
        rank, failure = item
        return failure.exitcode == -signal.SIGTERM, failure.exitcode >= 0, failure.timestamp, rank

    return min(failures.items(), key=order)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
