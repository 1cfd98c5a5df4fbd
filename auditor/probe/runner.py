"""Run a submission's own code in the sandbox, at toy size: the parent's side, free of torch."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.probe.job import Job, encode
from auditor.probe.plan import Setup, Stream, Variant
from auditor.probe.record import ForkedCall, ProbeRun, Recording
from auditor.probe.wire import WireError, unpack
from auditor.sandbox import Limits, SandboxResult, Status, run
from auditor.submission import Submission

_SERVER = "auditor.probe.inside.server"
_WALL_PER_CPU = 5.0
"""Wall seconds that a CPU second may take on a busy machine."""

_START_SECONDS = 60.0
"""CPU seconds for the start of the server: torch, triton, the tokenizer."""

_MEMORY = 10 << 30
_FILES = 1 << 30
_PROCESSES = 256


class ProbeError(RuntimeError):
    """The server itself failed: nothing is known about the submission. One line."""


def run_probe(
    submission: Submission,
    setup: Setup,
    *,
    full: Sequence[Variant],
    forked: Sequence[Stream] = (),
    budget: float = 600.0,
    python: Path | None = None,
    fork_at_load: int | None = None,
    fork_in: int = 0,
    labels: Iterable[str] = (),
    allow_unsandboxed: bool = False,
) -> ProbeRun:
    """Run variants of the submission's ``main``, and fork its scorers in the middle of the first of them.

    One process in the sandbox loads torch and forks a child per run, one after another: each has a wiped folder at the
    same path, the same environment, seeds and clock, so two calls give the same recordings bit for bit.

    Args:
        submission: read by ``read_submission``; its folder is visible read-only.
        setup: from ``setup_for``.
        full: runs through ``main``; the first is the base run.
        forked: streams for the calls of the base run that get its validation stream; the first should be that stream.
        budget: CPU seconds for all runs; what does not fit has status ``timeout``.
        python: interpreter, ours if None; it needs torch, numpy and sentencepiece.
        fork_at_load: fork behind the k-th load of the stream instead of at calls, or
            :data:`~auditor.probe.plan.BEHIND_ARTIFACT`: for scorers inlined in ``main``, and for what is made of the
            stream before they are called.
        fork_in: which of the full runs forks; a later one than the base run forks the final scorer only, and is the
            last run where a leak has shown.
        labels: of the claimed score in the submission's logs.
        allow_unsandboxed: accept running without isolation if nothing else works here.

    Raises:
        ProbeError: the server broke, by its own fault or by what the submission did to it.
        SandboxUnavailable: no acceptable isolation works here.
    """
    job = Job(
        root=str(submission.root.absolute()),
        files=tuple(submission.files),
        setup=setup,
        full=full,
        forked=forked,
        budget=budget,
        fork_at_load=fork_at_load,
        fork_in=fork_in,
        labels=sorted(labels),
    )
    cpu = budget + _START_SECONDS
    result = run(
        _SERVER,
        readable=[submission.root],
        stdin=io.BytesIO(json.dumps(encode(job)).encode()),
        limits=Limits(
            wall_seconds=_WALL_PER_CPU * cpu,
            cpu_seconds=cpu,
            memory_bytes=_MEMORY,
            processes=_PROCESSES,
            open_files=1024,
            file_bytes=_FILES,
            result_bytes=2 << 30,
        ),
        python=python,
        allow_unsandboxed=allow_unsandboxed,
    )
    if result.status is not Status.OK:
        last = (result.stderr.strip().splitlines() or [""])[-1]
        raise ProbeError(f"{result.status}: {result.detail}; {last}"[:500])
    return _read(result)


@dataclass(frozen=True)
class _Answer:
    """The server's JSON."""

    recordings: list[dict[str, Any]]
    full: list[int]
    calls: list[list[int]]
    cpu_seconds: float
    problems: list[str]


def _read(result: SandboxResult) -> ProbeRun:
    import msgspec

    try:
        answer = msgspec.json.decode(result.arrays["meta"].tobytes(), type=_Answer)
        recordings = [unpack(meta, _arrays_of(number, result.arrays)) for number, meta in enumerate(answer.recordings)]
        full = tuple(recordings[number] for number in answer.full)
        calls = tuple(_call([recordings[number] for number in numbers]) for numbers in answer.calls)
    except (KeyError, IndexError, WireError, ValueError, RecursionError) as error:  # the child may forge any bytes
        raise ProbeError(f"the server's answer makes no sense: {error}"[:500]) from None
    return ProbeRun(full, calls, str(result.tier), answer.cpu_seconds, tuple(answer.problems))


def _arrays_of(number: int, arrays: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, npt.NDArray[np.generic]]:
    return {name: arrays[f"{number}.{name}"] for name in ("site", "length", "order", "values", "returned")}


def _call(recordings: Sequence[Recording]) -> ForkedCall:
    return ForkedCall(recordings[0].key, tuple(recordings))
