"""One run of the submission, in a process of its own: load the script, call its ``main``, report."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auditor.probe.inside import accumulators, output
from auditor.probe.inside.artifacts import ArtifactWatch, replace_in_memory
from auditor.probe.inside.forking import Forks, floats
from auditor.probe.inside.mode import Interception
from auditor.probe.inside.pair import Peer, split
from auditor.probe.inside.patching import nothing
from auditor.probe.inside.reporting import LoadError, NoMainError, Report, attempt, of_second
from auditor.probe.inside.shims import clock, device, distributed_pair
from auditor.probe.inside.source import Loader
from auditor.probe.inside.tap import TAP
from auditor.probe.inside.workplace import Workplace, Written
from auditor.probe.plan import BEHIND_ARTIFACT, Setup, Variant
from auditor.probe.streams import training_stream

_NAME = "submission"
"""Module name of the entry: not ``__main__``, so that the import runs nothing."""

_RENDEZVOUS = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29999"}
"""Nobody meets there: one rank is alone, two are connected before they begin."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        workplace: its files, in place.
        setup: how it is run.
        variant: which one.
        report: where the recording goes.
        log: where standard output and error go.
        forks: of the base run's calls; None for other runs.
        artifacts: how many artifacts the base run wrote; 0 when that is not known.
        count_artifacts: file in which the base run leaves that number.
    """

    workplace: Workplace
    setup: Setup
    variant: Variant
    report: Report
    log: Path
    forks: Forks | None
    artifacts: int
    count_artifacts: Path

    def run(self) -> None:
        """Run in this process, which is a child of the server's, and in another for a second rank, and report."""
        if self.variant.other is None:
            self._run()
            return
        streams = (self.variant.validation, self.variant.other)
        peer, second = split(self.setup.timeout, lambda rank: self.workplace.change_validation(streams[rank]))
        distributed_pair.install(peer)
        peer.wait()
        (self if second is not None else self._of_second())._run(peer)
        if second is not None:
            second.wait()

    def _of_second(self) -> Run:
        """The same for the second rank, which reports and logs beside the first."""
        report, log = (of_second(path) for path in (self.report.path, self.log))
        return replace(self, report=Report(report, self.report.key), log=log)

    def _run(self, peer: Peer | None = None) -> None:
        _redirect(self.log)
        _set_environment(self.workplace, self.setup, self.variant, peer)
        written = Written(self.workplace.work)
        watch = self._watch_artifacts()
        _seed()
        device.claim_cuda(self.setup.cuda)
        output.listen()
        clock.start()
        TAP.on = True
        with Interception():
            outcome = attempt(self._main)
        if self.forks is not None and self.forks.report is not None:
            self.forks.report.write(outcome)  # this is a child that was forked at a load
            return
        self.report.write(outcome, written.artifacts())
        if peer is not None:
            peer.end()
        elif self.artifacts == 0:
            self.count_artifacts.write_text(str(watch.written))

    def _watch_artifacts(self) -> ArtifactWatch:
        watch = ArtifactWatch(self.workplace.work)
        train = self.variant.train
        if train is not None and self.variant.train_after:

            def change() -> None:
                self.workplace.write_train(train)
                replace_in_memory(training_stream(self.setup.vocabulary), train.tokens)

            watch.after(self.artifacts, change)
        if self.forks is not None and self.forks.at_load == BEHIND_ARTIFACT:
            watch.on_return(self.forks.fork_behind_artifact)
        return watch

    def _main(self) -> list[float]:
        loader = Loader(self.setup.rewrites)
        loader.hook_imports(self.workplace.work)
        try:
            module = loader.load(self.workplace.script, _NAME)
            namespace, main = _find_main(loader, module.__dict__)
        except NoMainError:
            raise
        except BaseException as error:
            raise LoadError from error
        _set_attributes(namespace, self.setup.attributes)
        if self.forks is not None:
            self.forks.wrap_functions(namespace)
        accumulators.watch(namespace, _by_function(self.setup.accumulators))
        return floats(main())


def _find_main(loader: Loader, namespace: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], Any]]:
    """The globals that hold ``main``, and ``main``; a script that has scored as it loaded has nothing left to do.

    Raises:
        NoMainError: there is none, and no score.
    """
    for names in (namespace, *loader.namespaces):
        main = names.get("main")
        if callable(main):
            return names, main
    if not (TAP.events_since(0) and TAP.lines_since(0)):
        raise NoMainError
    return namespace, nothing


def _by_function(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for function, variable in pairs:
        found.setdefault(function, []).append(variable)
    return found


def _set_attributes(namespace: Mapping[str, Any], attributes: Mapping[str, Any]) -> None:
    owner = namespace.get("Hyperparameters")
    for name, value in attributes.items():
        if hasattr(owner, name):
            setattr(owner, name, value)


def _redirect(log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _set_environment(workplace: Workplace, setup: Setup, variant: Variant, peer: Peer | None) -> None:
    os.environ.update(setup.environment)
    os.environ.update(workplace.environment())
    if setup.distributed:
        rank, ranks = (0, 1) if peer is None else (peer.rank, 2)
        os.environ.update(_RENDEZVOUS)
        os.environ.update(dict.fromkeys(("RANK", "LOCAL_RANK"), str(rank)))
        os.environ.update(dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(ranks)))
    os.environ.update(variant.environment)
    os.chdir(workplace.work)
    sys.argv = [workplace.script.name, *setup.arguments]


def _seed() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
