"""When the artifact is written, and a change of the training data at that moment.

Training ends, for an experiment, with the last artifact that the run writes; the base run says how many there are. What
a later part of the run reads of the training stream, from the shard or from memory, is then another stream.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from auditor.probe.inside.holders import Holder, holders, overwrite

_TEXT = {"", ".txt", ".log", ".json", ".jsonl", ".csv", ".tsv", ".md"}
_CODE = {".py", ".pyc", ".c", ".cpp", ".cu", ".so"}
_NOT_HERE = {"data", "__pycache__"}


class ArtifactWatch:
    """Counts the artifacts that this run opens for writing.

    Attributes:
        written: how many so far.
    """

    def __init__(self, work: Path) -> None:
        self._work = work
        self.written = 0
        self._due = 0
        self._action: Callable[[], None] | None = None
        self._on_return: Callable[[], None] | None = None
        self._paths: set[Path] = set()
        sys.addaudithook(self._audit)
        saving: Any = torch.serialization
        saving._open_zipfile_writer_file = self._torch_writer(saving._open_zipfile_writer_file)

    def after(self, number: int, action: Callable[[], None]) -> None:
        """Call ``action`` once, when artifact ``number`` has been written and the run opens its next file."""
        self._due, self._action = number, action

    def on_return(self, action: Callable[[], None]) -> None:
        """Call ``action`` once, when the run first opens an artifact again that it has written."""
        self._on_return = action

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open":
            return
        path, mode, flags = arguments
        if self._action is not None and self.written >= self._due > 0:
            action, self._action = self._action, None
            action()
        writes = (isinstance(mode, str) and set(mode) & set("wxa")) or flags & (os.O_WRONLY | os.O_RDWR)
        if not isinstance(path, (str, PurePath)) or not (writes or self._on_return is not None):
            return
        place = Path.cwd() / os.path.normpath(path)
        if writes and self._is_artifact(place):
            self.written += 1
            self._paths.add(place)
        elif self._on_return is not None and place in self._paths:
            action, self._on_return = self._on_return, None
            action()

    def _is_artifact(self, place: Path) -> bool:
        if not place.is_relative_to(self._work) or place.relative_to(self._work).parts[0] in _NOT_HERE:
            return False
        return place.suffix not in _TEXT | _CODE

    def _torch_writer(self, writer: Any) -> Any:
        # torch.save opens a path in C++, of which no audit event tells.
        watch = self

        class Writer(writer):  # type: ignore[misc]
            def __init__(self, name: Any, *arguments: Any) -> None:
                watch._audit("open", (str(name), "wb", 0))
                super().__init__(name, *arguments)

        return Writer


def replace_in_memory(before: npt.NDArray[np.integer], after: npt.NDArray[np.integer]) -> None:
    """Overwrite every vector that this process holds of stream ``before`` with ``after``."""
    overwrite(held(before), after)


def held(stream: npt.NDArray[np.integer]) -> list[Holder]:
    """Every vector that this process holds of ``stream``."""
    return [holder for values in _vectors() for holder in holders(values, stream)]


def _vectors() -> Iterator[Any]:
    """Tensors and arrays that live, by way of what holds them: an array is not known to the collector itself."""
    for owner in gc.get_objects():
        if isinstance(owner, torch.Tensor):
            yield owner
        else:
            yield from (each for each in gc.get_referents(owner) if isinstance(each, np.ndarray))
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        yield from (each for each in frame.f_locals.values() if isinstance(each, np.ndarray))
        frame = frame.f_back
