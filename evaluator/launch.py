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
from torch.distributed.launcher.api import elastic_launch
from torch.distributed.run import config_from_args, get_args_parser

from evaluator.job import Failed, Job, emit
from evaluator.processes import die_with_parent


def main(arguments: list[str]) -> int:
    """Run the job on the processes that torchrun's options describe."""
    die_with_parent()
    job_file, *options = arguments
    # One thread per process is what makes the bits independent of the number of processes.
    os.environ["OMP_NUM_THREADS"] = "1"
    parsed = get_args_parser().parse_args([*options, "-m", "evaluator.worker", job_file])
    config, entrypoint, command = config_from_args(parsed)
    try:
        elastic_launch(config=config, entrypoint=entrypoint)(*command)
    except ChildFailedError as error:
        rank, failure = _culprit(error.failures)
        end = signal.Signals(-failure.exitcode).name if failure.exitcode < 0 else f"exit status {failure.exitcode}"
        emit(Job.load(Path(job_file)).events, Failed(rank, "died", "rank-died", f"rank {rank} died: {end}"))
        return 1
    return 0


def _culprit(failures: dict[int, ProcessFailure]) -> tuple[int, ProcessFailure]:
    """The rank that died first: one that a signal ended before those that merely lost a peer; then the earliest."""
    return min(failures.items(), key=lambda item: (item[1].exitcode >= 0, item[1].timestamp, item[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
