"""Whether a script divides by the bytes that its text has: the credited ones follow from what it prints.

Loss and bits per byte of one line give the bytes, whatever tables made them: nats / ln 2 / bpb. They are compared with
the UTF-8 length of a text that holds what tables get wrong: bytes that spell a character, characters of several bytes,
spaces in a row. Fewer bytes than the text has hurt only the author.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from auditor.findings import RuleResult, Status
from auditor.options import ProbeOptions
from auditor.probe.byte_text import VOCABULARY, ByteText, byte_texts
from auditor.probe.design import WINDOWS, Design
from auditor.probe.experiments import Session
from auditor.probe.failure import Failure
from auditor.probe.kinds import Kind
from auditor.probe.match import entries, match_claim
from auditor.probe.measure import reason
from auditor.probe.plan import Setup, Variant
from auditor.probe.record import ENDED, Recording, Site
from auditor.probe.runner import ProbeError, run_probe
from auditor.probe.settings import setup_for
from auditor.sandbox import SandboxUnavailable
from auditor.score_names import score_labels
from auditor.submission import Submission

if TYPE_CHECKING:
    from auditor.audited import Audited

RULE = "bpb-denominator"
_CERTAIN = 1.02
"""As for the logs: smaller excess is a question, not an answer."""
_MOST_REPEATS = 3
"""How often the last window may be scored again, at most."""


@dataclass(frozen=True)
class Account:
    """What a script counted.

    Attributes:
        said: one sentence.
        session: what ran.
        failure: the excess, where there is one.
    """

    said: str
    session: Session
    failure: Failure | None = None


@dataclass(frozen=True)
class _Count:
    """Bytes that a run credited to ``scores`` scores; the text of as many tokens has ``bytes``, ``most`` at most."""

    site: Site
    scores: int
    credited: float
    bytes: int
    most: int


def is_open(results: Sequence[RuleResult]) -> bool:
    """Whether the static half leaves something to find out: logs whose arithmetic is right speak for the bytes."""
    result = next((result for result in results if result.rule == RULE), None)
    if result is None or result.status is Status.NOT_APPLICABLE:
        return False
    return result.status is not Status.CLEAR or not result.facts.get("implied_bytes")


def byte_account(audited: Audited, options: ProbeOptions, budget: float) -> Account | str:
    """Score two texts through the whole ``main`` and count; why nothing was counted, in words, where nothing was."""
    setup = replace(setup_for(audited.submission), vocabulary=VOCABULARY)
    try:
        return count_bytes(audited.submission, setup, budget, options.python, score_labels(audited))
    except (ProbeError, SandboxUnavailable) as error:
        return str(error)


def count_bytes(
    submission: Submission, setup: Setup, budget: float, python: Path | None, labels: frozenset[str] = frozenset()
) -> Account | str:
    """The same under a given set-up.

    Raises:
        ProbeError: the run broke off.
        SandboxUnavailable: no acceptable isolation works here.
    """
    targets = WINDOWS * setup.sequence
    texts = byte_texts(targets, setup.sequence)
    run = run_probe(
        submission, setup, full=[Variant("bytes", text.stream) for text in texts], budget=budget, python=python
    )
    counts = [_counted(recording, text, setup, labels) for recording, text in zip(run.full, texts, strict=False)]
    found = [count for count in counts if isinstance(count, _Count)]
    if len(found) < len(counts):
        return next(count for count in counts if isinstance(count, str))
    design = Design(VOCABULARY, setup.sequence, texts[0].stream.tokens.astype(np.uint16), ())
    said = _said(found[0])
    excessive = all(count.credited > _CERTAIN * count.most for count in found)
    failure = _failure(found[0], said) if excessive else None
    session = Session(setup, design, said, said, len(run.full), run.cpu_seconds, run.tier, run.problems, labels=labels)
    return Account(said, session, failure)


def _counted(recording: Recording, text: ByteText, setup: Setup, labels: frozenset[str]) -> _Count | str:
    if recording.status not in ENDED:
        return reason(recording)
    targets = len(text.stream.tokens) - 1
    match = match_claim([recording], targets, labels=labels)
    vector = None if match is None else entries(recording, match)
    if match is None or vector is None:
        return "no recorded reduction makes the printed score"
    if match.is_bytewise:
        return "it scores bytes rather than tokens"
    if not match.claim.bpb:
        return "it prints no bits per byte"
    again = max(int((vector != 0).sum()) - targets, 0)
    if again > _MOST_REPEATS * setup.sequence:
        return "tokens are scored more than once"
    credited = float(vector.sum()) / math.log(2.0) / match.claim.bpb
    return _Count(match.site, vector.size, credited, text.bytes + again, text.most + again)


def _said(count: _Count) -> str:
    return (
        f"{count.scores} scores are credited {count.credited:.1f} bytes; the text, with characters of several bytes, "
        f"byte pieces and repeated spaces, has {count.bytes} in UTF-8"
    )


def _failure(count: _Count, said: str) -> Failure:
    return Failure(
        kind=Kind.BYTES,
        said=said,
        site=count.site,
        key="main",
        changes=(),
        position=0,
        expected={"credited": round(count.credited, 1), "bytes": count.bytes},
    )
