"""From recordings to measurements: what one scorer did on the base stream and on its changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from auditor.probe.bytewise import by_token, in_stream_order
from auditor.probe.checks import (
    REPEATS,
    Shift,
    Total,
    Vector,
    carried,
    changed,
    differing,
    honest_changes,
    is_deterministic,
    is_reordered,
    shift,
    total_probability,
)
from auditor.probe.design import Change, Design, late_position
from auditor.probe.entrance import entrance
from auditor.probe.kernel_outputs import moved_outputs
from auditor.probe.match import Match, claims, entries, find_matches, match_claim, sizes
from auditor.probe.plan import BEHIND_ARTIFACT
from auditor.probe.record import ENDED, Recording, Site
from auditor.probe.stream_order import is_in_stream_order

_TEXT = (".txt", ".log", ".json", ".jsonl", ".csv", ".tsv", ".md", ".html", ".out", ".yaml", ".yml", ".py", ".c")
"""Files that say something about a run; what they say of the validation score is no artifact."""


@dataclass(frozen=True)
class Measured:
    """One scorer, measured.

    Attributes:
        key: ``main``, or the call that was forked.
        match: the reductions that made its score.
        score: the claimed number.
        deterministic: two runs on the base stream agree bit by bit.
        shifts: causality, by rewritten position; the last token is one of them.
        totals: normalisation, by position.
        carried: share of late scores that the beginning of the stream moves.
        differing: share of scores that differ from every other score that the run printed.
        moved_artifacts: files that depend on the validation stream and are otherwise the same in every run.
        single: what changing a single token did, for a smaller counter-example.
        trained: scores that another training stream moved although every artifact stayed the same.
        reordered: tokens seem to be scored in another order than the stream's, which explains what else were a leak.
        entrance: where the last token first moved more numbers than it may.
        outputs: by position, what a compiled kernel then wrote otherwise although it may not.
        effect: nats by which rewriting the tokens from the first tested position on moved the mean of all scores; None
            where that was not run.
        executions: runs that were compared.
    """

    key: str
    match: Match
    score: float
    deterministic: bool
    shifts: tuple[Shift, ...] = ()
    totals: tuple[Total, ...] = ()
    carried: float = 0.0
    differing: float = 0.0
    moved_artifacts: tuple[str, ...] = ()
    single: tuple[tuple[Change, Shift], ...] = ()
    trained: int = 0
    reordered: bool = False
    entrance: Site | None = None
    outputs: Mapping[int, str] = field(default_factory=dict)
    effect: float | None = None
    executions: int = 0

    @property
    def load(self) -> int | None:
        """The load of the stream that it was forked behind, counted from 1, or :data:`BEHIND_ARTIFACT`; else None."""
        return int(self.key.rpartition("#")[2]) if self.key.startswith("load:") else None

    @property
    def place(self) -> str:
        """What was run on other streams, in words for people."""
        if self.load is None:
            return self.key
        return "from the artifact on" if self.load == BEHIND_ARTIFACT else f"from load {self.load} of the stream on"

    @property
    def wanted(self) -> tuple[float, float]:
        """The score, and how far the number that its scorer returned may be off what was printed."""
        return self.match.wanted

    @property
    def leaks(self) -> tuple[Shift, ...]:
        """Shifts that no honest scorer shows, the most telling first."""
        found = [item for item in self.shifts if not (item.is_causal or self.reordered)]
        return tuple(sorted(found, key=lambda item: (item.allowed - item.changed, item.position)))

    @property
    def excesses(self) -> tuple[Total, ...]:
        """Positions at which the probabilities add up to more than one, the largest first.

        Where the scores leak, each candidate was scored by another model, and a sum is evidence only at tokens that
        reach no other token's score.
        """
        alone = {item.position for item in self.shifts if item.changed <= REPEATS}
        found = [item for item in self.totals if item.is_excessive and (not self.leaks or item.position in alone)]
        return tuple(sorted(found, key=lambda item: (-item.total, item.position)))


def measure(
    recordings: Mapping[Change, Recording],
    design: Design,
    labels: frozenset[str] = frozenset(),
    wanted: tuple[float, float] | None = None,
    bytewise: bool | None = None,
) -> Measured | str:
    """Measure the scorer that made the final score.

    Args:
        recordings: by what their stream changes; those of the base stream and of its repetition must be there.
        design: the streams.
        labels: labels of the claimed score in the submission's logs.
        wanted: the score and its tolerance, where it is known.
        bytewise: whether it is made of losses byte by byte, where that is known.

    Returns:
        Why it cannot be measured, in words for people, where it cannot.
    """
    whole = {change: recording for change, recording in recordings.items() if recording.status in ENDED}
    base, repeat = whole.get(Change("base")), whole.get(Change("repeat"))
    if base is None or repeat is None:
        return _why_incomplete(recordings)
    if not claims(base):
        return "the run printed no score"
    others = (recording for change, recording in whole.items() if change != Change("base"))
    match = match_claim([base, *others], design.targets, labels=labels, wanted=wanted, bytewise=bytewise)
    if match is None:
        return "no recorded reduction makes the printed score"
    vectors = {change: entries(recording, match) for change, recording in whole.items()}
    if match.is_bytewise:
        streams = {change: design.apply(change) for change in vectors}
        tokenwise = by_token(vectors, streams, design.vocabulary)
        if tokenwise is None or not in_stream_order(tokenwise):
            return "which of the losses per byte are which token's could not be found out"
        vectors = tokenwise
    reference = vectors[Change("base")]
    if reference is None:  # a match was read from the base run
        raise ValueError("the base run lost its own score")
    ordered = not match.is_bytewise and is_in_stream_order(base, match, design.tokens, design.vocabulary)
    shifts = {
        change: found
        for change, vector in sorted(vectors.items(), key=lambda pair: (pair[0].position, pair[0].token))
        if change.position and (found := shift(reference, vector, change.position, design.targets, ordered)) is not None
    }
    return Measured(
        key=base.key,
        match=match,
        score=match.wanted[0],
        deterministic=is_deterministic(reference, vectors[Change("repeat")]),
        shifts=tuple(found for change, found in shifts.items() if change.kind == "rewrite"),
        totals=_totals(reference, vectors, design),
        carried=_carried(reference, vectors, design),
        differing=differing(reference, _other_scores(base, match, design.targets)),
        moved_artifacts=moved_artifacts(base, repeat, [r for c, r in whole.items() if c.position]),
        single=tuple((change, found) for change, found in shifts.items() if change.kind == "substitute"),
        trained=_trained(reference, vectors, whole),
        reordered=not (match.is_bytewise or ordered) and _is_reordered(reference, vectors, design, sizes(base, match)),
        effect=_effect(reference, vectors.get(Change("rewrite", design.positions[0])) if design.positions else None),
        outputs=moved_outputs(whole, design),
        entrance=entrance(base, whole[last]) if (last := Change("rewrite", design.targets)) in whole else None,
        executions=len(whole),
    )


def _effect(base: Vector, rewritten: Vector | None) -> float | None:
    if rewritten is None:
        return None
    after, before = (float(vector.sum()) / max(int(np.count_nonzero(vector)), 1) for vector in (rewritten, base))
    return after - before


def moved_artifacts(base: Recording, repeat: Recording, others: Sequence[Recording]) -> tuple[str, ...]:
    """Binary files that two runs on the same stream write alike and a run on another stream does not."""
    stable = {
        name: digest
        for name, digest in base.artifacts.items()
        if repeat.artifacts.get(name) == digest and not name.endswith(_TEXT)
    }
    return tuple(
        name
        for name, digest in sorted(stable.items())
        if any(other.artifacts.get(name, digest) != digest for other in others)
    )


def _totals(base: Vector, vectors: Mapping[Change, Vector | None], design: Design) -> tuple[Total, ...]:
    found = []
    for position in design.positions:
        substituted = {c.token: v for c, v in vectors.items() if c.kind == "substitute" and c.position == position}
        reach = _reach(base, vectors, position)
        beyond = frozenset[int]() if position == design.targets else _reach(base, vectors, position + 1)
        if not substituted or reach is None or beyond is None:
            continue
        total = total_probability(base, int(design.tokens[position]), substituted, position, reach, beyond)
        if total is not None:
            found.append(total)
    return tuple(found)


def _trained(base: Vector, vectors: Mapping[Change, Vector | None], runs: Mapping[Change, Recording]) -> int:
    """Where the swap came before an artifact was written, that artifact changes, and the run proves nothing."""
    swap, before = runs.get(Change("train")), runs[Change("base")]
    if swap is None or not before.artifacts:
        return 0
    same = all(swap.artifacts.get(n) == d for n, d in before.artifacts.items() if not n.endswith(_TEXT))
    return len(changed(base, vectors[Change("train")]) or ()) if same else 0


def _reach(base: Vector, vectors: Mapping[Change, Vector | None], position: int) -> frozenset[int] | None:
    return changed(base, vectors.get(Change("rewrite", position)))


def _carried(base: Vector, vectors: Mapping[Change, Vector | None], design: Design) -> float:
    """The larger of what the stream's beginning and what a document's beginning move out of reach of a window."""
    far = [p for p in design.positions if p > 2 * design.sequence and Change("rewrite", p) in vectors]
    begin, end = design.last_document
    pairs = [(Change("early"), min(far, default=0)), (Change("early", begin), end)]
    return max(carried(base, vectors.get(early), _reach(base, vectors, late)) for early, late in pairs)


def _is_reordered(
    base: Vector, vectors: Mapping[Change, Vector | None], design: Design, lengths: Sequence[int]
) -> bool:
    """Asked only where the last token moves more than it may: its copies in later windows look the same."""
    last = shift(base, vectors.get(Change("rewrite", design.targets)), design.targets, design.targets)
    if last is None or last.is_causal:
        return False
    late = late_position(design)
    return is_reordered(
        base,
        _reach(base, vectors, design.targets),
        _reach(base, vectors, design.positions[0]),
        lengths,
        _reach(base, vectors, late),
        honest_changes(base, late, design.targets),
    )


def _other_scores(base: Recording, match: Match, targets: int) -> list[Vector]:
    """Entries of the other scores that the run printed, such as the one before test-time training."""
    vectors = []
    for claim in claims(base):
        for other in find_matches(base, claim, targets)[:1]:
            vector = entries(base, other)
            if vector is not None and other.parts != match.parts:
                vectors.append(vector)
    return vectors


def _why_incomplete(recordings: Mapping[Change, Recording]) -> str:
    base = recordings.get(Change("base")) or recordings.get(Change("repeat"))
    if base is None:
        return "the budget ended before the first run did"
    if base.status in ENDED:
        return "the budget ended before a second run could confirm the first"
    return reason(base)


_REASONS = {
    "load-error": "the script does not load",
    "error": "the script fails at toy size",
    "no-main": "the script defines no main()",
    "timeout": "a run takes longer than the budget allows",
    "memory": "a run takes more memory than it may have",
}


def reason(recording: Recording) -> str:
    """Why a run says nothing, in words for people; the error's last line is the submission's own text."""
    last = recording.error.strip().splitlines()[-1:] or [""]
    return _REASONS.get(recording.status, recording.status) + (f": {last[0].strip()[:200]}" if last[0] else "")
