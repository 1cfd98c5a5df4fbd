"""The fork server: loads torch once, then forks one child after another; run by the sandbox as ``__main__``.

The job comes as JSON on standard input; recordings go out over the harness's pipe, all at the end.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import stat
import sys
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from auditor.probe.inside import tap
from auditor.probe.job import Job, decode
from auditor.sandbox.blob import read_blob
from auditor.sandbox.child import send

_STUBS: Mapping[str, str] = {
    "nvidia-smi": "exit 0\n",
    "pyminify": 'for last; do :; done\n[ -f "$last" ] && exec cat "$last"\nexec cat\n',
    "lrzip": (
        "while [ $# -gt 0 ]; do case $1 in -o) out=$2; shift;; -d) back=1;; -*) ;; *) in=$1;; esac; shift; done\n"
        '[ -n "$out" ] || { [ -n "$back" ] && out=${in%.lrz} || out=$in.lrz; }\nexec cp "$in" "$out"\n'
    ),
}
"""Programs that submissions start: no GPU to list, nothing to minify, and a compressor that copies."""


_WALL_PER_BUDGET = 4.0


def main() -> None:
    """Serve one job."""
    job = decode(json.load(sys.stdin))
    tap.hook_numpy()  # before anything sums
    base = Path(os.environ["TMPDIR"]) / ".probe"
    base.mkdir()
    _install_programs(base / "bin")
    _preload(job.setup.preload)

    from auditor.probe.inside import shims
    from auditor.probe.inside.children import adopt_orphans

    shims.install_all()
    adopt_orphans()
    meta, arrays = _Server(job, base).serve()
    arrays["meta"] = np.frombuffer(json.dumps(meta, allow_nan=False).encode(), np.uint8)
    send(None, arrays)


def _install_programs(folder: Path) -> None:
    folder.mkdir()
    for name, body in _STUBS.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{body}")
        program.chmod(stat.S_IRWXU)
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"


def _preload(modules: tuple[str, ...]) -> None:
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    warnings.simplefilter("ignore")
    # Optimisers reach for the compiler even where nothing is compiled; it must have seen the real torch.
    for name in ("torch._dynamo", "torch._inductor.config", *modules):
        with suppress(Exception):
            importlib.import_module(name)


class _Server:
    def __init__(self, job: Job, base: Path) -> None:
        from auditor.probe.inside.layout import Layout

        self.job = job
        self.base = base
        self.layout = Layout(base.parent / "run", job.setup)
        self.budget = job.budget
        self.problems: list[str] = []
        self.meta: list[Any] = []
        self.arrays: dict[str, Any] = {}

    def serve(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run everything; (JSON, arrays) for the parent."""
        full: list[int] = []
        calls: list[list[int]] = []
        for number, variant in enumerate(self.job.full):
            full.append(self._full(number, variant))
            if number == 0:
                calls = self._collect_calls()
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        meta = {
            "recordings": self.meta,
            "full": full,
            "calls": calls,
            "cpu_seconds": sum(each.ru_utime + each.ru_stime for each in usage),
            "problems": self.problems,
        }
        return meta, self.arrays

    def _full(self, number: int, variant: Any) -> int:
        from auditor.probe.inside.children import End, run_forked
        from auditor.probe.inside.forking import Forks
        from auditor.probe.inside.reporting import Report, settle
        from auditor.probe.inside.run import run

        report = Report(self.base / f"full_{number}", "main")
        if self.budget <= 0:
            settle(report, End(0, late=True, seconds=0.0, cpu_seconds=0.0))
            return self._take(report.path)
        setup, forks = self.job.setup, None
        if number == 0 and self.job.forked:
            forks = Forks(
                streams=self.job.forked,
                folder=self.base,
                home=self.layout.home,
                at_load=self.job.fork_at_load,
                timeout=setup.timeout,
                budget=self.budget,
            )
        self.layout.build(Path(self.job.root), self.job.files, variant)

        def body() -> None:
            run(self.layout, setup, variant, report, self.base / f"log_{number}", forks)

        # Forked children's time is not the run's own, but the run waits for them.
        end = run_forked(body, setup.timeout, _WALL_PER_BUDGET * self.budget if forks is not None else None)
        settle(report, end)
        self.budget -= end.cpu_seconds
        return self._take(report.path)

    def _collect_calls(self) -> list[list[int]]:
        """The recordings of forked calls, by call and stream."""
        from auditor.probe.inside.forking import PROBLEMS, call_path

        calls: list[list[int]] = []
        while call_path(self.base, len(calls), 0).exists():
            paths = (call_path(self.base, len(calls), number) for number in range(len(self.job.forked)))
            calls.append([self._take(path) for path in paths if path.exists()])
        problems = self.base / PROBLEMS
        self.problems += problems.read_text().splitlines() if problems.exists() else []
        return calls

    def _take(self, path: Path) -> int:
        """Keep the recording in ``path``; its number."""
        meta, arrays = read_blob(path)
        number = len(self.meta)
        self.meta.append(meta)
        self.arrays |= {f"{number}.{name}": array for name, array in arrays.items()}
        return number


if __name__ == "__main__":
    main()
