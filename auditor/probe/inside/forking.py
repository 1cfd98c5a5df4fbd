"""Fork a call of the submission's once per stream, in the middle of its own run.

The submission builds the arguments; a child overwrites the stream among them, lets the call run, and reports. So many
streams are scored by one trained model, and nobody had to guess the signature of a scorer.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import resource
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from auditor.probe.inside.artifacts import held
from auditor.probe.inside.children import End, fork, run_forked
from auditor.probe.inside.holders import Holder, holders, overwrite
from auditor.probe.inside.reporting import Report, attempt, settle
from auditor.probe.inside.workplace import Snapshot, Workplace, sidecar
from auditor.probe.match import claims
from auditor.probe.plan import BEHIND_ARTIFACT, Stream
from auditor.probe.record import ENDED
from auditor.probe.wire import unpack
from auditor.sandbox.blob import read_blob

_NEVER = re.compile(
    r"_*main|_*train_(?!.*ttt)|_*load|_*build|_*get|log|serialize|quantize|_*gptq|collect", re.IGNORECASE
)
"""Functions that get the stream and score nothing."""

_PLAIN = re.compile(r"eval_val$")
_SPECIAL = re.compile(r"eval\w*(?:sliding|ttt|ngram|slot|ppm|mix)|score", re.IGNORECASE)
PROBLEMS = "problems"
"""File, beside the reports, of what the base run could not do."""

_PER_KEY = 2
_MOST_CALLS = 6
_MOST_TRIES = 24
"""Calls that are run once more to see what they return."""

Outcome = Literal["forked", "other score", "no number"]


@dataclass(frozen=True, slots=True)
class _Held:
    """Vectors of the run that hold the stream, and those that hold its byte counts."""

    tokens: list[Holder]
    counts: list[Holder]


@dataclass
class Forks:
    """The forks of one base run.

    Attributes:
        streams: the first is the one that the run has loaded.
        folder: where children report, at ``call_path``.
        workplace: the run's files: a child gets its stream there as well, and all is restored behind it.
        at_load: fork behind the k-th function that returns the stream, or :data:`BEHIND_ARTIFACT`; None to fork calls.
        timeout: CPU seconds of one child.
        budget: CPU seconds of all.
        keys: of the forked calls so far.
        inside: a forked call is running; what it calls is not forked again.
        wanted: the final score and its tolerance: only a call that returns it is forked once per stream; None for all.
        known: by their numbers, streams that whole runs had, and the scores of those: a call that returns another one
            for such a stream is not all that the score hangs on, and is forked no more.
        report: in a child that was forked at a load, what it has to report when ``main`` is over.
    """

    streams: Sequence[Stream]
    folder: Path
    workplace: Workplace
    at_load: int | None
    timeout: float
    budget: float
    wanted: tuple[float, float] | None = None
    known: Mapping[int, float] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    inside: bool = False
    report: Report | None = None
    _loads: int = 0
    _tries: int = 0
    _plain_only: bool = True

    def wrap_functions(self, namespace: dict[str, Any]) -> None:
        """Put a fork before each function that the script defines at its top level."""
        own = {
            name: value
            for name, value in namespace.items()
            if isinstance(value, FunctionType) and value.__globals__ is namespace and not name.startswith("__")
        }
        self._plain_only = not any(_SPECIAL.match(name) for name in own)
        namespace |= {name: self._wrapped(name, function) for name, function in own.items()}

    def _wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        on_load = self.at_load is not None
        plain = _PLAIN.match(name) and not self._plain_only and self.wanted is None
        if name == "main" or (not on_load and (plain or _NEVER.match(name))):
            return function

        @functools.wraps(function)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            if self.inside:
                return function(*arguments, **named)
            if on_load:
                return self._loaded(name, function(*arguments, **named))
            return self._called(name, function, arguments, named)

        return wrapper

    def _called(
        self, name: str, function: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> Any:
        found = self._held(lambda vector: holders([list(arguments), named], vector))
        callees = ",".join(filter(None, (getattr(value, "__name__", "") for value in arguments if callable(value))))
        key = f"{name}|{callees}".removesuffix("|")
        enough = self.keys.count(key) >= _PER_KEY or len(self.keys) >= _MOST_CALLS or self._tries >= _MOST_TRIES
        if not found.tokens or enough or self._fork_call(key, function, arguments, named, found) == "no number":
            return function(*arguments, **named)  # look at what it calls
        self.inside = True
        try:
            return function(*arguments, **named)
        finally:
            self.inside = False

    def _fork_call(
        self,
        key: str,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: dict[str, Any],
        found: _Held,
    ) -> Outcome:
        """Fork the call once per stream, if with the first of them it returns a score, and the wanted one."""
        self._tries += 1

        def score(stream: Stream, report: Report) -> None:
            self.inside = True
            self._change(found, stream)
            report.write(attempt(lambda: floats(function(*arguments, **named))))

        call = len(self.keys)
        self.keys.append(key)
        for number, stream, path in self._turns(key, call):
            report = Report(path, key)
            end = run_forked(functools.partial(score, stream, report), self.timeout)
            self._settle(report, end)
            outcome = self._outcome(path, number)
            if outcome != "forked":
                for each in range(number + 1):
                    call_path(self.folder, call, each).unlink()
                self.keys.pop()
                return outcome
        return "forked"

    def _outcome(self, path: Path, number: int) -> Outcome:
        """What the call returned, or printed, where a whole run says what it should with the ``number``-th stream."""
        if number and (self.wanted is None or number not in self.known):
            return "forked"
        recording = unpack(*read_blob(path))
        if number and recording.status not in ENDED:
            return "forked"
        if not recording.returned:
            return "no number"
        if self.wanted is None:
            return "forked"
        score, tolerance = self.known.get(number, self.wanted[0]), self.wanted[1]
        said = [value for claim in claims(recording) for value in (claim.loss, claim.bpb) if value is not None]
        return "forked" if any(abs(value - score) <= tolerance for value in said) else "other score"

    def fork_behind_artifact(self) -> None:
        """Fork children that go on from here, where the artifact is read again, with another stream in its place."""
        self._fork_rest(f"load:artifact#{BEHIND_ARTIFACT}", None, self._held(held))

    def _fork_rest(self, key: str, result: Any, found: _Held) -> Any:
        """Fork children that go on behind the load; ``result``, in them and in the parent."""
        self.keys.append(key)
        for _, stream, path in self._turns(key, 0):
            report = Report(path, key)
            child = fork(self.timeout)
            if child is None:
                self._change(found, stream)
                self.inside, self.report = True, report
                return result
            self._settle(report, child.wait())
        return result

    def _turns(self, key: str, call: int) -> Iterator[tuple[int, Stream, Path]]:
        """Streams with their numbers and where to report, as long as there is budget; files are restored between."""
        before = _own_cpu()
        snapshot = Snapshot(self.workplace.home)
        for number, stream in enumerate(self.streams):
            now = _own_cpu()
            self.budget -= now - before  # forking costs, too
            before = now
            if self.budget <= 0:
                note_problem(self.folder, f"{key}: the budget ended after {number} of {len(self.streams)} streams")
                return
            yield number, stream, call_path(self.folder, call, number)
            snapshot.restore()

    def _held(self, find: Callable[[npt.NDArray[np.integer]], list[Holder]]) -> _Held:
        """What holds the stream and, for a script that reads a sidecar, its byte counts."""
        stream = self.streams[0]
        return _Held(find(stream.tokens), find(sidecar(stream)) if self.workplace.setup.sidecar else [])

    def _change(self, found: _Held, stream: Stream) -> None:
        """Put ``stream`` where the run has it now and where it may load it again."""
        self.workplace.write_validation(stream)
        overwrite(found.tokens, stream.tokens)
        overwrite(found.counts, sidecar(stream))

    def _settle(self, report: Report, end: End) -> None:
        self.budget -= end.cost
        settle(report, end)

    def _loaded(self, name: str, result: Any) -> Any:
        found = self._held(lambda vector: holders([result], vector))
        if not found.tokens:
            return result
        self._loads += 1
        if self._loads != self.at_load:
            return result
        return self._fork_rest(f"load:{name}#{self._loads}", result, found)


def _own_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def call_path(folder: Path, call: int, number: int) -> Path:
    """Where the child of a call's ``number``-th stream reports."""
    return folder / f"call_{call}_{number}"


def note_problem(folder: Path, text: str) -> None:
    """Leave a line for the server."""
    with (folder / PROBLEMS).open("a") as file:
        file.write(text.replace("\n", " ") + "\n")


def floats(value: Any, depth: int = 0) -> list[float]:
    """The floating-point numbers within a returned value, in order; counts and flags are no scores."""
    if isinstance(value, (float, np.floating)):
        return [float(value)]
    if isinstance(value, torch.Tensor):
        return [float(value)] if value.numel() == 1 and value.is_floating_point() else []
    if isinstance(value, types.SimpleNamespace):
        value = vars(value)
    if dataclasses.is_dataclass(value):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)) and depth < 3:
        return [number for each in value[:50] for number in floats(each, depth + 1)]
    return []
