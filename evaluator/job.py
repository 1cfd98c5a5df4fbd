"""What the parent hands to the scoring processes, and what they tell it: two plain files in a private folder.

The parent never trusts the clock of what it times. It writes the job, waits for ``ready``, starts its own clock and
only then creates the ``go`` file; no scoring process touches the validation data before that.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from evaluator.settings import Published, ScoringSettings


class Job(msgspec.Struct, frozen=True):
    """One evaluation, as the scoring processes need it; all paths absolute.

    Attributes:
        folder: private folder of this run: ``events.jsonl``, ``go``, ``nll.npy``.
        tensors: safetensors file of the decoded artifact.
        names: canonical tensor name -> name in ``tensors``.
        config: the model configuration, as :meth:`GPTConfig.to_mapping` gives it; None: no model, a uniform
            distribution over the tokenizer's vocabulary.
        settings: how to score.
        data, tokenizer: validation shards and SentencePiece model.
        contest: name of the contest profile.
        published: the published system to run in place of the score-first loop, or None.
    """

    folder: str
    tensors: str
    names: dict[str, str]
    config: dict[str, Any] | None
    settings: ScoringSettings
    data: str
    tokenizer: str
    contest: str
    published: Published | None = None

    @property
    def events(self) -> Path:
        """The file that events are appended to, one JSON object a line."""
        return Path(self.folder) / "events.jsonl"

    @property
    def go(self) -> Path:
        """Created by the parent when its clock runs."""
        return Path(self.folder) / "go"

    @property
    def scores(self) -> Path:
        """Where rank 0 leaves the credited scores: int64 ``(T,)``."""
        return Path(self.folder) / "nll.npy"

    def save(self) -> Path:
        """Write the job into its folder; the path of the file."""
        path = Path(self.folder) / "job.json"
        path.write_bytes(msgspec.json.encode(self))
        return path

    @classmethod
    def load(cls, path: Path) -> Job:
        """Read what :meth:`save` wrote."""
        return msgspec.json.decode(path.read_bytes(), type=cls)


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A scoring process exists."""

    rank: int
    pid: int


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Every process has its model loaded and waits for ``go``; ``devices`` names each process's device."""

    devices: tuple[str, ...]


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """A chunk was credited.

    Attributes:
        position: positions credited so far, of ``positions``.
        nll: their summed score in quanta of the ledger.
        credited_bytes: their summed bytes.
        scored: scores so far, second ones included.
    """

    position: int
    positions: int
    nll: int
    credited_bytes: int
    scored: int


class Underway(msgspec.Struct, frozen=True, tag="underway"):
    """About ``position`` of ``positions`` have been through the network; nothing of them is credited yet."""

    position: int
    positions: int


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The stream is scored; the scores are in :attr:`Job.scores`.

    Attributes:
        exactly_once: whether every position was scored exactly once.
        total: summed score in quanta, second scores included.
        scored: number of scores.
        phases: seconds that rank 0 spent per phase.
        sums: position, ``sum_v p(v)`` and ``|p - credited p|`` where the whole distribution was summed up.
        steps: optimiser steps of test-time training.
        adapted: parameters that adapted.
    """

    exactly_once: bool
    total: int
    scored: int
    credited_bytes: int
    phases: dict[str, float]
    sums: list[tuple[int, float, float]]
    steps: int
    adapted: int


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A process failed.

    Attributes:
        rank: which.
        kind: ``"refused"`` what it read, and ``reason`` says why; ``"raised"`` an exception, perhaps only because a
            peer was gone; ``"died"``: torchrun names it as the one that ended the run.
        reason, message: for the scorecard.
    """

    rank: int
    kind: Literal["died", "raised", "refused"]
    reason: str
    message: str


Event = Started | Ready | Underway | Progress | Done | Failed


def emit(path: Path, event: Event) -> None:
    """Append one event; a single short write to a file in append mode is atomic between processes."""
    line = msgspec.json.encode(event) + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


class EventReader:
    """Reads whole lines as they appear."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._decoder = msgspec.json.Decoder(Event)

    def read(self) -> list[Event]:
        """Events since the last call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        end = data.rfind(b"\n") + 1
        self._offset += end
        return [self._decoder.decode(line) for line in data[:end].splitlines()]
