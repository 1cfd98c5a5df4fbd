"""What an experiment proved, with the numbers."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.probe.checks import Shift, Total
from auditor.probe.design import Change
from auditor.probe.kinds import Kind
from auditor.probe.measure import Measured
from auditor.probe.record import Site


@dataclass(frozen=True)
class Failure:
    """One broken condition.

    Attributes:
        kind: which.
        said: one sentence with the numbers.
        site: where the scores that moved are summed up.
        key: ``main``, or the forked call.
        changes: the streams that show it, the base stream left out.
        position: where.
        expected: the numbers that a replay must find again.
        at_load: what was made smaller so that hash tables are as full as in the official run, such as
            ``"NGRAM_BUCKETS=64"``.
        is_certain: the numbers alone prove it; otherwise a static path must agree.
        is_bytewise: the scores that add up are of bytes, put together to tokens.
        entrance: where the last token first moved more numbers than it may; None where that was not seen.
    """

    kind: Kind
    said: str
    site: Site
    key: str
    changes: tuple[Change, ...]
    position: int
    expected: dict[str, float | int]
    at_load: tuple[str, ...] = ()
    is_certain: bool = True
    is_bytewise: bool = False
    entrance: Site | None = None


def failures_of(measured: Measured, at_load: tuple[str, ...] = ()) -> tuple[Failure, ...]:
    """What one measured scorer broke; nothing when it does not even repeat itself."""
    if not measured.deterministic:
        return ()
    found = []
    if measured.leaks:
        found.append(_leak(measured, at_load))
    if measured.excesses:
        found.append(_excess(measured, at_load))
    if measured.trained:
        found.append(_training_data(measured, at_load))
    return tuple(found)


def _leak(measured: Measured, at_load: tuple[str, ...]) -> Failure:
    change, worst = _smallest(measured)
    kind = Kind.TRAINED if measured.moved_artifacts else Kind.LEAK
    return Failure(
        kind=kind,
        said=_leak_sentence(change, worst, measured),
        site=measured.match.site,
        key=measured.key,
        changes=(change,),
        position=worst.position,
        expected={"changed": worst.changed, "allowed": worst.allowed, "entries": worst.entries},
        at_load=at_load,
        entrance=measured.entrance,
    )


def _smallest(measured: Measured) -> tuple[Change, Shift]:
    """The smallest change of the stream that shows the leak: a single token where one does, else the shortest end."""
    single = [(change, found) for change, found in measured.single if not found.is_causal]
    last = [(Change("rewrite", s.position), s) for s in measured.leaks if s.position == s.targets]
    ends = [(Change("rewrite", s.position), s) for s in sorted(measured.leaks, key=lambda s: -s.position)]
    return (*last, *single, *ends)[0]


def _leak_sentence(change: Change, found: Shift, measured: Measured) -> str:
    one = change.kind == "substitute" or found.position == found.targets
    what = f"token {found.position}" if one else f"the tokens from {found.position} on"
    artifact = f" and the artifact {measured.moved_artifacts[0]}" if measured.moved_artifacts else ""
    moved = f"{found.changed} of {found.entries} scores{artifact}"
    return (
        f"changing {what} of a stream of {found.targets + 1} changed {moved}; "
        f"an honest scorer changes at most {found.allowed}"
    )


def _excess(measured: Measured, at_load: tuple[str, ...]) -> Failure:
    worst = measured.excesses[0]
    several = len(measured.excesses) > 1
    return Failure(
        kind=Kind.EXCESS,
        said=_excess_sentence(worst, measured, at_load),
        site=measured.match.site,
        key=measured.key,
        changes=tuple(c for c, _ in measured.single if c.position == worst.position),
        position=worst.position,
        expected={"total": round(worst.total, 6), "candidates": worst.candidates},
        at_load=at_load,
        is_certain=several and not at_load,
        is_bytewise=measured.match.is_bytewise,
    )


def _excess_sentence(worst: Total, measured: Measured, at_load: tuple[str, ...]) -> str:
    load = f" at the official run's load of the tables ({', '.join(at_load)})" if at_load else ""
    others = len(measured.excesses) - 1
    more = f", and above one at {others} of {len(measured.totals) - 1} other positions" if others else ""
    what = f"the probabilities of {worst.candidates} tokens at position {worst.position}"
    kernel = measured.outputs.get(worst.position)
    return f"{what} add up to {worst.total:.3f}{load}{more}" + (f"; {kernel}" if kernel else "")


def _training_data(measured: Measured, at_load: tuple[str, ...]) -> Failure:
    said = (
        f"replacing the training data after the artifact was written changed {measured.trained} scores; "
        "the artifact stayed the same"
    )
    return Failure(
        kind=Kind.TRAINING_DATA,
        said=said,
        site=measured.match.site,
        key=measured.key,
        changes=(Change("train"),),
        position=0,
        expected={"trained": measured.trained},
        at_load=at_load,
    )
