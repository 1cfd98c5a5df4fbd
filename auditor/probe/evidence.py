"""Counter-examples as files: everything that one command needs to show a failure again."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from auditor.probe.design import Change, Design
from auditor.probe.experiments import Session
from auditor.probe.failure import Failure
from auditor.probe.kinds import Kind
from auditor.probe.measure import Measured
from auditor.probe.plan import Rewrite, Setup
from auditor.probe.settings import setup_for

if TYPE_CHECKING:
    from auditor.submission import Submission

FORMAT = "model-golf-referee counter-example 1"


class EvidenceError(ValueError):
    """Not a counter-example, or not of this submission."""


class StreamEntry(msgspec.Struct, frozen=True):
    """A stream and what it changes in the base stream; ``sha256`` is that of its uint16 tokens, little-endian."""

    change: str
    position: int
    token: int
    tokens: tuple[int, ...]
    sha256: str


class CounterExample(msgspec.Struct, frozen=True):
    """What is needed to show a failure again.

    Attributes:
        format: :data:`FORMAT`.
        kind: name of the :class:`~auditor.probe.failure.Kind`.
        said: the sentence of the report.
        entry: name of the script, and ``entry_sha256`` of its text.
        through: ``main``, or the call that is forked.
        position: tested position, 0 when it has no meaning.
        vocabulary, sequence: of the toy set-up.
        streams: the base stream first.
        environment, attributes, arguments: settings of the run.
        rewrites: literals that are changed, as (pattern, replacement, why).
        labels: of the lines that print the claimed score, sorted.
        score: what the whole run printed or returned and the forked call makes; None where ``main`` shows the failure.
        bytewise: whether losses byte by byte make it; None where ``score`` is.
        expected: numbers that a replay must find again.
        software: versions that made it.
    """

    format: str
    kind: str
    said: str
    entry: str
    entry_sha256: str
    through: str
    position: int
    vocabulary: int
    sequence: int
    streams: tuple[StreamEntry, ...]
    environment: dict[str, str]
    attributes: dict[str, Any]
    arguments: tuple[str, ...]
    rewrites: tuple[tuple[str, str, str], ...]
    labels: tuple[str, ...]
    score: float | None
    bytewise: bool | None
    expected: dict[str, float]
    software: dict[str, str]

    @property
    def load(self) -> int | None:
        """The load of the stream that is forked behind, counted from 1; None for a call and for ``main``."""
        return int(self.through.rpartition("#")[2]) if self.through.startswith("load:") else None

    def design(self) -> Design:
        """The base stream, tested at one position."""
        tokens = np.array(self.streams[0].tokens, dtype=np.uint16)
        return Design(self.vocabulary, self.sequence, tokens, (self.position,) if self.position else ())

    def setup(self, submission: Submission) -> Setup:
        """The set-up as it was.

        Raises:
            EvidenceError: the script is another one.
        """
        if submission.entry is None or _digest(submission.entry.text) != self.entry_sha256:
            raise EvidenceError(f"{self.entry} is not the script that the counter-example is about")
        return replace(
            setup_for(submission),
            environment=self.environment,
            attributes=self.attributes,
            arguments=self.arguments,
            rewrites=tuple(Rewrite(*item) for item in self.rewrites),
            vocabulary=self.vocabulary,
            sequence=self.sequence,
        )


def counter_example(failure: Failure, session: Session, submission: Submission) -> CounterExample:
    """The file for one failure."""
    setup, design = session.setup, session.design
    main = session.main if failure.key != "main" and isinstance(session.main, Measured) else None
    return CounterExample(
        format=FORMAT,
        kind=failure.kind.name,
        said=failure.said,
        entry=setup.entry,
        entry_sha256=_digest(submission.entry.text if submission.entry else ""),
        through=failure.key,
        position=failure.position,
        vocabulary=design.vocabulary,
        sequence=design.sequence,
        streams=tuple(_stream(change, design) for change in _needed(failure, design)),
        environment=dict(setup.environment),
        attributes=dict(setup.attributes),
        arguments=setup.arguments,
        rewrites=tuple((item.pattern, item.replacement, item.why) for item in setup.rewrites),
        labels=tuple(sorted(session.labels)),
        score=None if main is None else main.score,
        bytewise=None if main is None else main.match.is_bytewise,
        expected={name: float(value) for name, value in failure.expected.items()},
        software=_software(),
    )


def write_evidence(
    folder: Path, failures: Sequence[tuple[Failure, Session]], submission: Submission, prefix: str = ""
) -> list[Path]:
    """Write one file per failure, named by ``prefix`` and its kind; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for failure, session in failures:
        path = folder / f"{prefix}{failure.kind.name.lower()}.json".replace("_", "-")
        data = msgspec.json.encode(counter_example(failure, session, submission))
        path.write_bytes(msgspec.json.format(data, indent=1) + b"\n")
        paths.append(path)
    return paths


def read_evidence(data: bytes) -> CounterExample:
    """A counter-example from its file.

    Raises:
        EvidenceError: it is not one, or its streams do not have the digests that it states.
    """
    try:
        example = msgspec.json.decode(data, type=CounterExample)
    except (ValueError, RecursionError) as error:
        raise EvidenceError(f"not a counter-example: {error}") from None
    if example.format != FORMAT or example.kind not in Kind.__members__ or not example.streams:
        raise EvidenceError(f"not a counter-example of the form {FORMAT!r}")
    for stream in example.streams:
        if not all(0 <= token < example.vocabulary for token in stream.tokens):
            raise EvidenceError("a stream holds a token outside of the vocabulary")
        if _stream_digest(stream.tokens) != stream.sha256:
            raise EvidenceError("a stream does not have its digest")
    return example


def _needed(failure: Failure, design: Design) -> tuple[Change, ...]:
    """The streams that a replay runs: the failure's own, and those that tell a token's own score from the others."""
    around = [position for position in (failure.position, failure.position + 1) if 0 < position <= design.targets]
    reach = [Change("rewrite", position) for position in around] if failure.kind is Kind.EXCESS else []
    return (Change("base"), Change("repeat"), *reach, *failure.changes)


def _stream(change: Change, design: Design) -> StreamEntry:
    tokens = tuple(design.apply(change).tolist())
    return StreamEntry(change.kind, change.position, change.token, tokens, _stream_digest(tokens))


def _stream_digest(tokens: Sequence[int]) -> str:
    return hashlib.sha256(np.asarray(tokens, dtype="<u2").tobytes()).hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _software() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in ("numpy", "torch")}}
