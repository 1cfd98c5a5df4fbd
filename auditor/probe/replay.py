"""Run one counter-example again, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from auditor.probe.across_ranks import compare
from auditor.probe.byte_account import count_bytes
from auditor.probe.design import Change, Design
from auditor.probe.evidence import CounterExample
from auditor.probe.failure import failures_of
from auditor.probe.kinds import Kind
from auditor.probe.measure import Measured, measure
from auditor.probe.plan import Setup, Stream
from auditor.probe.record import Recording
from auditor.probe.runner import run_probe

if TYPE_CHECKING:
    from auditor.submission import Submission

_SAME = 1e-3
"""How far a score or a sum of probabilities may be from the stated one: another processor rounds differently."""


def replay(
    example: CounterExample, submission: Submission, budget: float, python: Path | None = None
) -> tuple[bool, str]:
    """Whether the failure shows again, and what was found, one sentence.

    Args:
        example: the counter-example.
        submission: the submission that it is about.
        budget: CPU seconds.
        python: interpreter for the submission's code; None for ours.

    Raises:
        EvidenceError: it is about another script.
        ProbeError: the run broke off.
        SandboxUnavailable: no acceptable isolation works here.
    """
    setup, design = example.setup(submission), example.design()
    if Kind[example.kind] is Kind.BYTES:
        return _count_again(example, submission, setup, budget, python)
    if Kind[example.kind] is Kind.RANKS:
        changes = [Change(item.change, item.position, item.token) for item in example.streams]  # type: ignore[arg-type]
        compared = compare(submission, setup, design, changes, budget, python, frozenset(example.labels))
        if isinstance(compared, str):
            return False, compared
        return _agrees(compared.expected, example.expected), compared.said
    streams = {
        Change(item.change, item.position, item.token): Stream(np.array(item.tokens, dtype=np.uint16))  # type: ignore[arg-type]
        for item in example.streams
    }
    whole, at_load = example.through == "main", example.load
    # As in the audit: of all calls only those are forked that return the claimed score, which a first run tells.
    first = [Change("base")] if at_load is not None else [Change("base"), Change("repeat")]
    through_main = list(streams) if whole else first
    run = run_probe(
        submission,
        setup,
        full=[replace(design.variant(change), validation=streams[change]) for change in through_main],
        forked=() if whole else tuple(streams.values()),
        budget=budget,
        python=python,
        fork_at_load=at_load,
        fork_in=0 if whole else len(through_main) - 1,
        labels=example.labels,
    )
    runs = [run.full] if whole else [call.recordings for call in run.calls if call.key == example.through]
    found = [_measured(dict(zip(streams, recordings, strict=False)), design, example) for recordings in runs]
    for item in found:
        for failure in failures_of(item) if isinstance(item, Measured) else ():
            if failure.kind is Kind[example.kind] and _agrees(failure.expected, example.expected):
                return True, failure.said
    reasons = [item for item in found if isinstance(item, str)]
    return False, reasons[0] if reasons else "the code no longer shows it"


def _measured(recordings: Mapping[Change, Recording], design: Design, example: CounterExample) -> Measured | str:
    wanted = None if example.score is None else (example.score, _SAME)
    return measure(recordings, design, frozenset(example.labels), wanted, example.bytewise)


def _count_again(
    example: CounterExample, submission: Submission, setup: Setup, budget: float, python: Path | None
) -> tuple[bool, str]:
    account = count_bytes(submission, setup, budget, python, frozenset(example.labels))
    if isinstance(account, str):
        return False, account
    shown = account.failure is not None and _agrees(account.failure.expected, example.expected)
    return shown, account.said


def _agrees(found: Mapping[str, float], stated: Mapping[str, float]) -> bool:
    """The same numbers; sums within rounding."""
    return found.keys() == stated.keys() and all(abs(found[name] - stated[name]) <= _SAME for name in found)
