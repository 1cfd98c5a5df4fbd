"""Programs and packages that fetch, install, build or report: nothing of that can or need happen here."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import stat
import subprocess
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auditor.probe.inside.patching import nothing, replace

_STUBS = {
    "nvidia-smi": "exit 0\n",
    "pip": "exit 0\n",
    "pyminify": 'for last; do :; done\n[ -f "$last" ] && exec cat "$last"\nexec cat\n',
    "lrzip": (
        "while [ $# -gt 0 ]; do case $1 in -o) out=$2; shift;; -d) back=1;; -*) ;; *) in=$1;; esac; shift; done\n"
        '[ -n "$out" ] || { [ -n "$back" ] && out=${in%.lrz} || out=$in.lrz; }\nexec cp "$in" "$out"\n'
    ),
}
"""No GPU to list, nothing to install, nothing to minify, and a compressor that copies."""

_FETCHERS = ("huggingface_hub", "wandb")
"""Packages that move data to and from the network; the data is in place, under the names that the script knows."""

_INSTALL = {"pip", "install"}
_BUILD = {"setup.py", "build_ext"}

_start = subprocess.Popen.__init__
_system = os.system
_built = False


def install_programs(folder: Path) -> None:
    """Put the stubs into a new ``folder`` at the front of PATH."""
    folder.mkdir()
    for name, body in _STUBS.items():
        program = folder / name
        program.touch(mode=stat.S_IRWXU, exist_ok=False)  # an ordinary user's sandbox refuses to change modes later
        program.write_text(f"#!/bin/sh\n{body}")
    os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"


def _instead(command: Any) -> Any:
    """What to start instead of ``command``: an installation or a build for the GPU succeeds at once."""
    global _built  # noqa: PLW0603 - a run builds or it does not
    words = set(command.split() if isinstance(command, str) else map(str, command))
    build = words >= _BUILD
    _built = _built or build
    if build or words >= _INSTALL:
        return "true" if isinstance(command, str) else ["true"]
    return command


def _popen(process: Any, args: Any, *arguments: Any, **named: Any) -> None:
    command = args if isinstance(args, (str, list, tuple)) else [args]
    _start(process, _instead(command), *arguments, **named)


class _NeverBuilt(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds an empty module for what is nowhere else, once the script believes that it has built something."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: Any = None) -> Any:
        if not _built or path is not None:
            return None
        return importlib.util.spec_from_loader(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        """An empty module needs nothing done."""


def _fetch_nothing(name: str) -> Any:
    if name.startswith("__"):  # readers of modules ask for their files
        raise AttributeError(name)
    return nothing


def _fetcher(name: str) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__dict__.update(__path__=[], __getattr__=_fetch_nothing)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
    return module


def install() -> None:
    """Patch ``subprocess`` and ``os.system``, and stand in for packages that fetch and are not installed."""
    replace(subprocess.Popen, __init__=_popen)
    replace(os, system=lambda command: _system(_instead(command)))
    sys.meta_path.append(_NeverBuilt())
    for name in _FETCHERS:
        if importlib.util.find_spec(name) is None:
            sys.modules[name] = _fetcher(name)
