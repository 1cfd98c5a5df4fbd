"""Which of the recorded reductions made the score that was claimed.

A claim is a number that the code printed or returned. A reduction made it when the elements that went into it, divided
by how many they are, reproduce the claim to its last printed digit: a wrong guess does not reproduce eight digits, and
a guess that survives by chance in one run fails in the next, whose streams differ. No match is "inconclusive", never
"pass".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from auditor.probe.partial import Part, partial_sums, replaced_starts
from auditor.probe.record import KERNEL, Event, Recording, Site

Vector = npt.NDArray[np.float64]

_NUMBER = re.compile(r"(val_loss|loss|nll|val_bpb|bpb|\bmix)[\"']?\s*[:=]\s*(\d+\.\d+)", re.IGNORECASE)
_OF_TRAINING = re.compile(r"train_loss|\btrain\b|step[:\s=]\s*\d+/\d+", re.IGNORECASE)
_OTHER = re.compile(r"gain|delta|improve|diff|gap", re.IGNORECASE)
"""Lines about the difference of two scores."""
_FLOAT32 = 3e-6
"""Relative error that a sum of some hundred float32 losses may have picked up."""
_FEWEST = 0.5
"""Share of the targets that the elements must cover: fewer are no score of the stream."""
_LONGEST = 40
"""How many times the stream a window of events may be long; earlier events belong to training."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A score that a run claimed.

    Attributes:
        label: the words before it, and its own name; for a returned number its place, such as ``"returned[0]"``.
        loss: nats per token; None when only bits per byte were printed.
        bpb: bits per byte; None when they were not printed.
        digits: decimals of what was printed; None for a returned float.
        order: position among events and lines; events after it cannot have made it.
    """

    label: str
    loss: float | None
    bpb: float | None
    digits: int | None
    order: int

    @property
    def tolerance(self) -> float:
        """How far a reproduction of the loss may be off."""
        rounding = 0.0 if self.digits is None else 0.51 * 10.0**-self.digits
        return rounding + _FLOAT32 * max(1.0, self.loss or self.bpb or 0.0)

    @property
    def wanted(self) -> tuple[float, float]:
        """The score, and how far the number that its scorer returned may be off what was printed."""
        return self.loss or self.bpb or 0.0, 2 * self.tolerance


@dataclass(frozen=True, slots=True)
class Match:
    """The reductions that made a claim.

    Attributes:
        parts: sites, each with a range of indices among its events.
        divisor: what their total was divided by: ``entries``, ``nonzero`` (padding left out), ``targets``; ``bytes``
            counted by ``denominator``; ``bits``, for entries that are single bytes' losses in bits, and ``nats``.
        claim: what they made.
        denominator: for a claim in bits per byte only, the part that counts the bytes.
    """

    parts: tuple[Part, ...]
    divisor: str
    claim: Claim
    denominator: Part | None = None

    @property
    def site(self) -> Site:
        """Where the first of them was made."""
        return self.parts[0][0]

    @property
    def wanted(self) -> tuple[float, float]:
        """The score that they made, and how far the number that its scorer returned may be off what was printed."""
        return (replace(self.claim, loss=None) if self.is_bytewise else self.claim).wanted

    @property
    def is_bytewise(self) -> bool:
        """Whether each entry is the loss of a byte."""
        return self.divisor in _PER_BYTE


def claims(recording: Recording) -> tuple[Claim, ...]:
    """Scores that the run printed, in order, then those that the probed call returned."""
    printed = []
    for line in recording.lines:
        found = {key.lower(): text for key, text in _NUMBER.findall(line.text)}
        loss = next((found[key] for key in ("val_loss", "loss", "nll") if key in found), None)
        bpb = next((found[key] for key in ("val_bpb", "bpb", "mix") if key in found), None)
        shown = loss or bpb
        if shown is None or (_OF_TRAINING.search(line.text) and "val" not in line.text) or _OTHER.search(line.text):
            continue
        label = line.text[: max(_NUMBER.search(line.text).end(1), 0)].strip(" :=|,")  # type: ignore[union-attr]
        printed.append(Claim(label, _number(loss), _number(bpb), len(shown.partition(".")[2]), line.order))
    end = 1 + max((event.order for event in recording.events), default=0)
    returned = [
        Claim(f"returned[{place}]", value, None, None, end)
        for place, value in enumerate(recording.returned)
        if 0.0 < value < 100.0
    ]
    return (*printed, *returned)


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


def find_matches(recording: Recording, claim: Claim, targets: int) -> tuple[Match, ...]:
    """Every reduction that reproduces the claim, the likeliest first.

    Args:
        recording: the run.
        claim: one of :func:`claims`.
        targets: N, tokens of the stream that are predicted.
    """
    by_site = _events_by_site(recording, claim.order)
    found = [] if claim.bpb is None else list(_bytewise_matches(by_site, claim, targets))
    if found:
        pass  # the bits per byte are another score than the loss beside them
    elif claim.loss is not None:
        for site, events in by_site.items():
            found += [
                (rank, Match(((site, range(first, len(events))),), divisor, claim))
                for rank, first, divisor in _windows(events, claim.loss, claim.tolerance, targets)
            ]
        found = found or list(_partial_matches(by_site, claim, targets))
    elif claim.bpb is not None:
        found = list(_byte_matches(by_site, claim, targets))
    # A stable order: rank, then the later site in the code's own order of events.
    return tuple(match for _, match in sorted(found, key=lambda pair: pair[0]))


def match_claim(
    recordings: Sequence[Recording],
    targets: int,
    *,
    labels: frozenset[str] = frozenset(),
    wanted: tuple[float, float] | None = None,
    bytewise: bool | None = None,
) -> Match | None:
    """The reduction that made the final claim, in every one of the runs.

    Args:
        recordings: runs of the same code on different streams, the base run first; failed ones are left out.
        targets: N.
        labels: labels of the score that the submission claims, as its logs print it; the last printed score if none
            of them occurs.
        wanted: the score and its tolerance, where it is known: whatever was printed or returned, only that is matched.
        bytewise: whether the score is made of losses byte by byte, where that is known: a number that a call returns
            does not tell whether it is the mean of bits over bytes or of nats over tokens.
    """
    base, *others = recordings
    every = claims(base)
    named = [claim for claim in every if any(label and label in claim.label for label in labels)]
    last = every[len(every) - _candidates(every) :]
    meant = (*reversed(named), *reversed(last)) if wanted is None else _near(every, *wanted)
    for claim in meant:
        for match in find_matches(base, claim, targets):
            if bytewise in {None, match.is_bytewise} and all(
                _holds(match, claim, every, other, targets) for other in others
            ):
                return match
    return None


def _near(every: Sequence[Claim], score: float, tolerance: float) -> list[Claim]:
    """Claims of a score, the nearest first; what a call returns without a name may be a loss or bits per byte."""
    near = [claim for claim in every if abs(claim.wanted[0] - score) <= tolerance]
    near.sort(key=lambda claim: abs(claim.wanted[0] - score))
    return [*near, *(replace(claim, loss=None, bpb=claim.loss) for claim in near if claim.digits is None)]


def _candidates(every: Sequence[Claim]) -> int:
    """The last printed line, or every number that a call returned: which of them is the loss is not known."""
    returned = sum(claim.digits is None for claim in every)
    return returned or 1


def entries(recording: Recording, match: Match) -> Vector | None:
    """The per-token losses of a run that correspond to a match in the base run, float64 [entries].

    None when this run made other reductions: its score has another shape.
    """
    if match.is_bytewise:  # a stream of other bytes makes another number of them
        first = match.parts[0][1].start
        every = [event.values for event in recording.events if event.site == match.site][first:]
        return np.abs(np.concatenate(every)) / _PER_BYTE[match.divisor] * math.log(2.0) if every else None
    chosen = _chosen(recording, match.parts)
    if chosen is None:
        return None
    vector = np.concatenate(chosen)
    return -vector if vector.sum() < 0.0 else vector  # some add up logarithms, and turn the sum around


def sizes(recording: Recording, match: Match) -> tuple[int, ...]:
    """Entries of each of the matched reductions, in their order."""
    return tuple(values.size for values in _chosen(recording, match.parts) or ())


def orders(recording: Recording, match: Match) -> tuple[int, ...]:
    """For each of the :func:`entries`, the order of the reduction that it went into."""
    chosen = _chosen_events(recording, match.parts) or ()
    return tuple(event.order for event in chosen for _ in range(event.values.size))


def _chosen(recording: Recording, parts: Sequence[Part]) -> list[Vector] | None:
    """Elements of each reduction of the parts; None when the run made fewer."""
    events = _chosen_events(recording, parts)
    return None if events is None else [event.values for event in events]


def _chosen_events(recording: Recording, parts: Sequence[Part]) -> list[Event] | None:
    by_site: dict[Site, list[Event]] = {}
    for event in recording.events:
        by_site.setdefault(event.site, []).append(event)
    if any(each.stop > len(by_site.get(site, ())) for site, each in parts):
        return None
    return [by_site[site][index] for site, each in parts for index in each]


def score_likewise(base: Recording, match: Match, other: Recording) -> float | None:
    """The score that another run claims where the base run claims the match's; None where it has other claims."""
    found = _corresponding(match.claim, claims(base), other)
    return None if found is None else replace(match, claim=found).wanted[0]


def _corresponding(claim: Claim, every: Sequence[Claim], other: Recording) -> Claim | None:
    there = claims(other)
    if len(there) != len(every):
        return None
    place = next(number for number, each in enumerate(every) if (each.label, each.order) == (claim.label, claim.order))
    return there[place]


def _holds(match: Match, claim: Claim, every: Sequence[Claim], other: Recording, targets: int) -> bool:
    """Whether the match reproduces the corresponding claim of another run; True where that run has none."""
    corresponding = _corresponding(claim, every, other)
    if corresponding is None:
        return True
    value = corresponding.bpb if match.is_bytewise or claim.loss is None else corresponding.loss
    value = corresponding.loss if claim.digits is None else value
    vector = entries(other, match)
    if vector is None or value is None:
        return True
    divisor = _divisor(match, other, vector, targets)
    return divisor > 0 and abs(float(vector.sum()) / divisor - value) <= corresponding.tolerance


def _divisor(match: Match, recording: Recording, vector: Vector, targets: int) -> float:
    if match.denominator is not None:
        counts = _chosen(recording, (match.denominator,)) or []
        return math.log(2.0) * sum(float(values.sum()) for values in counts)
    if match.is_bytewise:
        return math.log(2.0) * vector.size
    return {"entries": vector.size, "nonzero": int(np.count_nonzero(vector)), "targets": targets}[match.divisor]


def _events_by_site(recording: Recording, before: int) -> dict[Site, list[Event]]:
    by_site: dict[Site, list[Event]] = {}
    for event in recording.events:
        if event.order < before and event.site.kind != KERNEL:
            by_site.setdefault(event.site, []).append(event)
    return by_site


Rank = tuple[float, ...]


def _windows(events: Sequence[Event], value: float, tolerance: float, targets: int) -> Iterator[tuple[Rank, int, str]]:
    """Suffixes of a site's events whose mean is the value: (rank, index of the first event, divisor)."""
    total, size, nonzero = 0.0, 0, 0
    for first in range(len(events) - 1, -1, -1):
        values = events[first].values
        total, size, nonzero = total + float(values.sum()), size + values.size, nonzero + int(np.count_nonzero(values))
        if size > _LONGEST * targets:
            return
        if size < _FEWEST * targets:
            continue
        for divisor, count in (("entries", size), ("nonzero", nonzero), ("targets", targets)):
            # Zeros are padding, but also the losses of tokens that were given a probability of one.
            if count >= _FEWEST * targets and abs(abs(total) / count - value) <= tolerance:
                yield (abs(count - targets), abs(size - targets), _unlikely(events[first].site)), first, divisor


_PER_BYTE = {"bits": 1.0, "nats": math.log(2.0)}
"""What a loss in bits is multiplied by to be in the unit."""
_FEWEST_DIGITS = 5
"""Decimals of a printed score that a mean of this many candidates does not meet by chance."""


def _bytewise_matches(by_site: dict[Site, list[Event]], claim: Claim, targets: int) -> Iterator[tuple[Rank, Match]]:
    """Reductions of losses byte by byte, whose mean is the bits per byte that were claimed."""
    if claim.digits is not None and claim.digits < _FEWEST_DIGITS:
        return
    for site, events in by_site.items():
        for first, total, size, _ in _totals(events, targets):
            for unit, scale in _PER_BYTE.items():
                if size > targets and abs(abs(total) / scale / size - (claim.bpb or 0.0)) <= claim.tolerance:
                    yield (-float(size),), Match(((site, range(first, len(events))),), unit, claim)


def _partial_matches(by_site: dict[Site, list[Event]], claim: Claim, targets: int) -> Iterator[tuple[Rank, Match]]:
    """Reductions of several stretches of the run, whose mean is the loss that was claimed."""
    for parts, total in (*partial_sums(by_site), *replaced_starts(by_site)):
        chosen = [by_site[site][index].values for site, each in parts for index in each]
        size, nonzero = sum(values.size for values in chosen), sum(int(np.count_nonzero(values)) for values in chosen)
        if not _FEWEST * targets <= nonzero <= size <= _LONGEST * targets:
            continue
        for divisor, count in (("entries", size), ("nonzero", nonzero), ("targets", targets)):
            if abs(total / count - (claim.loss or 0.0)) <= claim.tolerance:
                rank = (abs(count - targets), abs(size - targets), _unlikely(parts[0][0]))
                yield rank, Match(parts, divisor, claim)


def _unlikely(site: Site) -> float:
    """Cross-entropies are recomputed by the tap; a sum is what the code itself computed."""
    return float(site.kind == "cross-entropy")


def _byte_matches(by_site: dict[Site, list[Event]], claim: Claim, targets: int) -> Iterator[tuple[Rank, Match]]:
    """Pairs of sites whose totals divide to bits per byte: losses over counts of bytes, event by event."""
    suffixes = {site: list(_totals(events, targets)) for site, events in by_site.items()}
    counts: dict[int, list[tuple[Site, int, float]]] = {}
    for site, bottoms in suffixes.items():
        for below, count, number, integral in bottoms:
            if integral and count > 0:
                counts.setdefault(number, []).append((site, below, count))
    for site, tops in suffixes.items():
        for first, total, size, _ in tops:
            for other, below, count in counts.get(size, ()):
                if other == site or abs(abs(total) / (math.log(2.0) * count) - (claim.bpb or 0.0)) > claim.tolerance:
                    continue
                rank = (abs(size - targets), _unlikely(site))
                part, count_part = ((s, range(f, len(by_site[s]))) for s, f in ((site, first), (other, below)))
                yield rank, Match((part,), "bytes", claim, count_part)


def _totals(events: Sequence[Event], targets: int) -> Iterator[tuple[int, float, int, bool]]:
    """Suffixes as (index of the first event, total, elements, all whole numbers)."""
    total, size, integral = 0.0, 0, True
    for first in range(len(events) - 1, -1, -1):
        values = events[first].values
        total, size = total + float(values.sum()), size + values.size
        integral = integral and bool(np.all(values == np.rint(values)))
        if size > _LONGEST * targets:
            return
        if size >= _FEWEST * targets:
            yield first, total, size, integral
