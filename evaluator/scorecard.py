"""The scorecard: what an evaluation found, enough to replay it. Its JSON is the published interface.

The schema is ``docs/scorecard.schema.json``; a change that would break a reader raises :data:`SCHEMA_VERSION`.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, Literal

import msgspec
import numpy as np

from evaluator.ledger import QUANTUM, Nanonats
from evaluator.settings import Published, ScoringSettings

SCHEMA_VERSION = 1

Status = Literal["scored", "over-bytes", "over-time", "refused", "failed"]


class Digests(msgspec.Struct, frozen=True):
    """SHA-256 in hexadecimal of everything that went into a score."""

    artifact: str
    data: str
    tokenizer: str
    model: str
    code: str
    settings: str


class Score(msgspec.Struct, frozen=True):
    """The numbers.

    Attributes:
        bpb: bits per byte, ``nll / (ln 2 * bytes)``.
        nll: summed negative log-likelihood, nats.
        nll_quanta: the same as an integer, in units of ``quantum`` nats: what was really summed.
        tokens: number of scores.
        bytes: credited UTF-8 bytes of the scored targets.
        loss: nats per token.
    """

    bpb: float
    nll: float
    nll_quanta: int
    tokens: int
    bytes: int
    loss: float
    quantum: float = QUANTUM


class Coverage(msgspec.Struct, frozen=True):
    """Which positions the score speaks of.

    Attributes:
        positions: positions of the stream.
        scored: positions that have a score.
        exactly_once: whether each has exactly one.
        data: ``"complete"``, ``"partial"``, ``"re-ordered"`` or ``"unknown"``, against what is known of the set.
        documents: documents in the stream.
        notes: facts about the data that a reader should know.
    """

    positions: int
    scored: int
    exactly_once: bool
    data: str
    documents: int
    notes: tuple[str, ...] = ()


class Size(msgspec.Struct, frozen=True):
    """Bytes against the cap; ``files`` are the counted code files."""

    limit: int
    artifact: int
    code: int
    files: dict[str, int]

    @property
    def total(self) -> int:
        """What the cap is compared with."""
        return self.artifact + self.code


class Time(msgspec.Struct, frozen=True):
    """Seconds against the cap, on the parent's clock.

    Attributes:
        limit: the cap.
        used: from the first possible read of validation data to the score.
        phases: where rank 0 spent them.
        untimed: seconds before the clock: decoding the artifact, loading the model.
    """

    limit: float
    used: float
    phases: dict[str, float]
    untimed: dict[str, float]


class Artifact(msgspec.Struct, frozen=True):
    """What the artifact is."""

    codec: str
    container: str
    family: str
    raw_bytes: int
    tensors: int
    sandbox: str
    notes: tuple[str, ...]


class Model(msgspec.Struct, frozen=True):
    """What the artifact's tensors were put into. ``adapted`` counts parameters that test-time training moves."""

    preset: str
    parameters: int
    adapted: int
    config: dict[str, Any]
    from_preset: tuple[str, ...]


class Normalisation(msgspec.Struct, frozen=True):
    """The whole distribution, summed up at some positions.

    Attributes:
        positions: where.
        sums: ``sum_v p(v)`` there; anything but 1 is no probability (C2).
        max_sum_error: largest ``|sum_v p(v) - 1|``.
        max_target_error: largest difference between the credited probability and the distribution's.
    """

    positions: tuple[int, ...]
    sums: tuple[float, ...]
    max_sum_error: float
    max_target_error: float


class ChunkScore(msgspec.Struct, frozen=True):
    """Scores up to position ``stop``, cumulative; ``seconds`` on the parent's clock."""

    stop: int
    nll: float
    bytes: int
    seconds: float


class Scorecard(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one ``evaluate``.

    Attributes:
        status: ``"scored"`` within the caps; over a cap; ``"refused"``; ``"failed"``: a process died.
        label: ``"official"`` or ``"practice"``.
        unofficial: why the score is not official; empty if it is.
        contest: the contest's name.
        bpb: the score, None without one; the same as ``score.bpb``.
        digest: identity of the score, None without one; see :func:`score_digest`.
        reason, message: why there is no score, or why it does not count.
        histogram: count of per-token scores in bins of half a nat, the last one open.
        replay: whether a replay gave the digest of the scorecard it repeats; None without one.
    """

    schema_version: int = SCHEMA_VERSION
    status: Status
    label: Literal["official", "practice"] = "practice"
    unofficial: tuple[str, ...] = ()
    contest: str
    bpb: float | None = None
    digest: str | None = None
    reason: str | None = None
    message: str | None = None
    score: Score | None = None
    coverage: Coverage | None = None
    size: Size | None = None
    time: Time | None = None
    digests: Digests | None = None
    artifact: Artifact | None = None
    model: Model | None = None
    scoring: ScoringSettings | None = None
    published: Published | None = None
    scaled: tuple[str, ...] = ()
    normalisation: Normalisation | None = None
    processes: int = 0
    environment: dict[str, str] = {}
    chunks: tuple[ChunkScore, ...] = ()
    histogram: tuple[int, ...] = ()
    replay: Literal["confirmed", "differs"] | None = None


def score_digest(digests: Digests, nll: Nanonats, total: int) -> str:
    """Identity of a score: SHA-256 of the digests of everything that went in and of the scores themselves.

    Args:
        digests: of artifact, data, tokenizer, model configuration, code and scoring settings.
        nll: int64 ``(T,)``, credited scores in stream order.
        total: their sum, second scores included.

    Time, environment and number of processes stay out: the digest is the same wherever the same bits come out.
    """
    digest = hashlib.sha256(b"referee-score-v1\0")
    digest.update(msgspec.json.encode(digests, order="sorted"))
    digest.update(total.to_bytes(16, "little", signed=True))
    digest.update(np.ascontiguousarray(nll, "<i8").tobytes())
    return digest.hexdigest()


def digest_of(value: object) -> str:
    """SHA-256 of a value's canonical JSON (sorted keys)."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def make_score(total: int, tokens: int, credited_bytes: int) -> Score | None:
    """The numbers of a summed score; None while no byte has been credited."""
    if not credited_bytes or not tokens:
        return None
    nll = total * QUANTUM
    return Score(nll / (math.log(2) * credited_bytes), nll, total, tokens, credited_bytes, nll / tokens)


def histogram(nll: Nanonats, width: float = 0.5, bins: int = 32) -> tuple[int, ...]:
    """Counts of scores per ``width`` nats; the last bin is open."""
    index = np.minimum((nll * (QUANTUM / width)).astype(np.int64), bins - 1)
    return tuple(np.bincount(index, minlength=bins).tolist())


def read_scorecard(data: bytes) -> Scorecard:
    """A scorecard from its JSON.

    Raises:
        ValueError: it is not one, or of another schema version.
    """
    try:
        card = msgspec.json.decode(data, type=Scorecard)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if card.schema_version != SCHEMA_VERSION:
        raise ValueError(f"schema version {card.schema_version} is not {SCHEMA_VERSION}")
    return card


def schema() -> dict[str, Any]:
    """The JSON schema of a scorecard (draft 2020-12)."""
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Scorecard)}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))  # tuples of defaults become lists
    return plain


if __name__ == "__main__":
    print(msgspec.json.format(msgspec.json.encode(schema())).decode())  # noqa: T201 - `make schema` redirects it
