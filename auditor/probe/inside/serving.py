"""The server's work: one run after another, the base run first."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from auditor.probe.between import Between, conclude_between
from auditor.probe.inside.children import End, run_forked
from auditor.probe.inside.forking import PROBLEMS, Forks, call_path
from auditor.probe.inside.reporting import Report, of_second, settle, write_recording
from auditor.probe.inside.run import Run
from auditor.probe.inside.workplace import Workplace
from auditor.probe.job import Job
from auditor.probe.plan import Setup
from auditor.probe.record import ENDED, Recording
from auditor.probe.two_ranks import merged
from auditor.probe.wire import unpack
from auditor.sandbox.blob import read_blob

_WALL_PER_BUDGET = 10.0
_GRACE = 20.0
"""CPU seconds that a run may take beyond the budget: one that is nearly done is worth more than what it saves."""
_RARELY = "1000000"
_BROKEN = {"error", "load-error"}
_HOPELESS = ("ModuleNotFoundError", "needs Python")


class Server:
    """Runs a job.

    Attributes:
        meta, arrays: recordings so far, as JSON and arrays named ``NUMBER.NAME``.
    """

    def __init__(self, job: Job, base: Path, problems: Sequence[str] = ()) -> None:
        """``base`` is the server's own folder; runs live beside it. ``problems`` are known before anything runs."""
        self._job = job
        self._base = base
        self._setup = job.setup
        self._workplace = Workplace(base.parent / "run", job.setup)
        self._budget = job.budget
        self._slept = 0.0
        self._problems = list(problems)
        self._wanted: tuple[float, float] | None = None
        self._known: dict[int, float] = {}
        self.meta: list[dict[str, Any]] = []
        self.arrays: dict[str, Any] = {}

    def serve(self) -> dict[str, Any]:
        """Run everything, as long as it may decide something; the JSON for the parent, but the recordings'."""
        full = [self._base_run()]
        while len(full) < len(self._job.full) and self._ended(full[0]):
            number = len(full)
            between = self._conclude(full) if number == self._job.fork_in else None
            self._wanted = between.wanted if between is not None and not between.leaks else None
            self._known = {} if between is None else self._streams_of(between.scores)
            full.append(self._take(self._run(number)))
            if between is not None and self._wanted is None:
                break
        calls = self._collect_calls()
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return {
            "full": full,
            "calls": calls,
            "cpu_seconds": self._slept + sum(each.ru_utime + each.ru_stime for each in usage),
            "problems": self._problems,
        }

    def _ended(self, number: int) -> bool:
        return self.meta[number]["status"] in ENDED

    def _conclude(self, full: Sequence[int]) -> Between:
        """What the full runs so far say, from the recordings with numbers ``full``."""
        base, *others = (self._recording(number) for number in full)
        rewritten = [(self._job.full[n].position, r) for n, r in enumerate(others, 1) if self._is_rewritten(n)]
        targets = len(self._job.full[0].validation.tokens) - 1
        return conclude_between(base, rewritten, targets, frozenset(self._job.labels))

    def _is_rewritten(self, number: int) -> bool:
        return self._job.full[number].position > 0 and self._ended(number)

    def _streams_of(self, scores: Sequence[float | None]) -> dict[int, float]:
        """The streams to fork that whole runs had, by their number, with the scores of those runs."""
        runs = [run for number, run in enumerate(self._job.full[: len(self.meta)]) if self._is_rewritten(number)]
        return {
            number: score
            for run, score in zip(runs, scores, strict=False)  # none where nothing makes the score
            for number, stream in enumerate(self._job.forked)
            if score is not None and np.array_equal(stream.tokens, run.validation.tokens)
        }

    def _recording(self, number: int) -> Recording:
        prefix = f"{number}."
        arrays = {name.removeprefix(prefix): a for name, a in self.arrays.items() if name.startswith(prefix)}
        return unpack(self.meta[number], arrays)

    def _base_run(self) -> int:
        """Run variant 0, under the first assumptions about the machine that it can live with; its number."""
        first = self._run(0)
        meta, _ = read_blob(first)
        if meta["status"] not in _BROKEN or any(mark in meta["error"] for mark in _HOPELESS):
            return self._take(first)
        kept = first.rename(first.with_suffix(".first"))
        for setup, words in _assumptions(self._job.setup, meta["error"]):
            self._setup = setup
            again = self._run(0)
            if read_blob(again)[0]["status"] not in _BROKEN:
                self._problems.append(f"it runs only {words}")
                return self._take(again)
        self._setup = self._job.setup
        return self._take(kept)

    def _run(self, number: int) -> Path:
        """Run variant ``number``; where its recording is."""
        variant = self._job.full[number]
        report = Report(self._base / f"full_{number}", "main")
        beside = Report(of_second(report.path), "main")
        for each in (report, beside):
            each.path.unlink(missing_ok=True)
        if self._budget <= 0:
            settle(report, End(0, late=True, seconds=0.0, cpu_seconds=0.0))
            return report.path
        forks = self._forks(self._budget - self._cost_from(number)) if self._may_fork(number) else None
        self._workplace.build(Path(self._job.root), self._job.files, variant)
        counted = self._base / "artifacts"
        run = Run(
            workplace=self._workplace,
            setup=self._setup,
            variant=variant,
            report=report,
            log=self._base / f"log_{number}",
            forks=forks,
            artifacts=int(counted.read_text()) if number and counted.exists() else 0,
            count_artifacts=counted,
        )
        # Forked children's time is not the run's own, but the run waits for them.
        wall = None if forks is None else _WALL_PER_BUDGET * self._budget
        end = run_forked(run.run, min(self._setup.timeout, self._budget + _GRACE), wall)
        settle(report, end)
        if variant.other is not None:
            settle(beside, end)
            first, second = (unpack(*read_blob(each.path)) for each in (report, beside))
            write_recording(report.path, merged(first, second))
        self._budget -= end.cost
        self._slept += end.cost - end.cpu_seconds
        return report.path

    def _may_fork(self, number: int) -> bool:
        return bool(self._job.forked) and number == self._job.fork_in and (number == 0 or self._wanted is not None)

    def _cost_from(self, number: int) -> float:
        """CPU seconds that forks leave: for run ``number`` and those behind it, if each costs what the first did."""
        return (len(self._job.full) - number) * float(self.meta[0]["cpu_seconds"]) if self.meta else 0.0

    def _forks(self, budget: float) -> Forks:
        for path in self._base.glob("call_*"):
            path.unlink()
        return Forks(
            streams=self._job.forked,
            folder=self._base,
            workplace=self._workplace,
            at_load=self._job.fork_at_load,
            timeout=self._setup.timeout,
            budget=budget,
            wanted=self._wanted,
            known=self._known,
        )

    def _collect_calls(self) -> list[list[int]]:
        """The recordings of forked calls, by call and stream."""
        calls: list[list[int]] = []
        while call_path(self._base, len(calls), 0).exists():
            paths = (call_path(self._base, len(calls), number) for number in range(len(self._job.forked)))
            calls.append([self._take(path) for path in paths if path.exists()])
        problems = self._base / PROBLEMS
        self._problems += problems.read_text().splitlines() if problems.exists() else []
        return calls

    def _take(self, path: Path) -> int:
        """Keep the recording in ``path``; its number."""
        meta, arrays = read_blob(path)
        number = len(self.meta)
        self.meta.append(meta)
        self.arrays |= {f"{number}.{name}": array for name, array in arrays.items()}
        return number


def _assumptions(setup: Setup, error: str) -> Iterator[tuple[Setup, str]]:
    """What else a script may take the machine for, the likeliest by its error first."""
    if "ZeroDivisionError" in error:
        rarely = {**setup.environment, "VAL_LOSS_EVERY": _RARELY}
        yield replace(setup, environment=rarely), "with VAL_LOSS_EVERY above 0, which it divides by"
        return
    alone = (replace(setup, distributed=False), "without torchrun's variables")
    cpu = (replace(setup, cuda=False), "with tensors that are not on CUDA")
    yield from (alone, cpu) if "DataParallel" in error else (cpu, alone)
    yield replace(setup, distributed=False, cuda=False), "without torchrun's variables and CUDA tensors"
