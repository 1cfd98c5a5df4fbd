"""One run of the submission, in a process of its own: load the script, call its ``main``, report."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from auditor.probe.inside import output
from auditor.probe.inside.forking import Forks, floats
from auditor.probe.inside.layout import Layout, Written
from auditor.probe.inside.mode import Interception
from auditor.probe.inside.reporting import LoadError, NoMainError, Report, attempt
from auditor.probe.inside.shims import clock
from auditor.probe.inside.source import Loader
from auditor.probe.inside.tap import TAP
from auditor.probe.plan import Setup, Variant

_NAME = "submission"
"""Module name of the entry: not ``__main__``, so that the import runs nothing."""

_TORCHRUN = {
    "RANK": "0",
    "WORLD_SIZE": "1",
    "LOCAL_RANK": "0",
    "LOCAL_WORLD_SIZE": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29999",
}


def run(layout: Layout, setup: Setup, variant: Variant, report: Report, log: Path, forks: Forks | None) -> None:
    """Run ``variant`` in this process, which is a child of the server's, and report."""
    _redirect(log)
    _environment(layout, setup, variant)
    written = Written(layout.work)
    _seed()
    output.listen()
    clock.start()
    TAP.on = True
    with Interception():
        outcome = attempt(lambda: _main(layout, setup, forks))
    if forks is not None and forks.report is not None:  # a child that was forked at a load comes by here as well
        forks.report.write(outcome)
    else:
        report.write(outcome, written.artifacts())


def _main(layout: Layout, setup: Setup, forks: Forks | None) -> list[float]:
    loader = Loader(setup.rewrites)
    loader.hook_imports(layout.work)
    try:
        module = loader.load(layout.script, _NAME)
        namespace, main = _find_main(loader, module.__dict__)
    except NoMainError:
        raise
    except BaseException as error:
        raise LoadError from error
    _set_attributes(namespace, setup.attributes)
    if forks is not None:
        forks.wrap_functions(namespace)
    return floats(main())


def _find_main(loader: Loader, namespace: dict[str, Any]) -> tuple[dict[str, Any], Callable[[], Any]]:
    for names in (namespace, *loader.namespaces):
        main = names.get("main")
        if callable(main):
            return names, main
    raise NoMainError


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


def _environment(layout: Layout, setup: Setup, variant: Variant) -> None:
    os.environ.update(setup.environment)
    os.environ.update(layout.environment())
    os.environ.update(_TORCHRUN if setup.distributed else {})
    os.environ.update(variant.environment)
    os.chdir(layout.work)
    sys.argv = [layout.script.name, *setup.arguments]


def _seed() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
