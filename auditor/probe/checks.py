"""What the vectors of per-token losses prove: pure functions of numbers, without any knowledge of the code.

Notation: a stream has N + 1 tokens, of which those at positions 1..N are predicted; a scorer's vector has one entry per
scored token, in any order, and may score tokens at the end of the stream again with more context (sliding windows do).
C(q) is the set of entries that change when the tokens from position q on are rewritten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

NOISE = 1e-6
"""Nats; smaller differences may be the arithmetic of float32 in another order, not information."""
EXCESS = 1e-3
"""How far above one a sum of probabilities must be to prove anything; honest float32 scorers stay within 1e-5."""


@dataclass(frozen=True, slots=True)
class Shift:
    """What rewriting the tokens from one position on did to the scores.

    Attributes:
        position: q, the first rewritten position, of 1..N.
        targets: N.
        entries: length of the vector.
        changed: |C(q)|.
        allowed: what an honest scorer changes at most.
        largest: the largest change, nats.
    """

    position: int
    targets: int
    entries: int
    changed: int
    allowed: int
    largest: float

    @property
    def is_causal(self) -> bool:
        """Whether an honest scorer could have done it."""
        return self.changed <= self.allowed


@dataclass(frozen=True, slots=True)
class Total:
    """What the vocabulary's probabilities at one position add up to.

    Attributes:
        position: t, of 1..N.
        entry: index of the score of that token.
        total: sum over the candidates of exp(-nll); a lower bound of the whole sum where ``candidates`` is below V.
        candidates: how many tokens were summed over.
        probability: of the token that stands there.
    """

    position: int
    entry: int
    total: float
    candidates: int
    probability: float

    @property
    def is_excessive(self) -> bool:
        """Whether no probability distribution gives these numbers."""
        return self.total > 1.0 + EXCESS


def changed(base: Vector, other: Vector | None) -> frozenset[int] | None:
    """Entries that differ by more than noise; None when the two have different shapes or hold no numbers."""
    if other is None or base.shape != other.shape or not (np.isfinite(base).all() and np.isfinite(other).all()):
        return None
    return frozenset(np.flatnonzero(np.abs(base - other) > NOISE).tolist())


def is_deterministic(base: Vector, repeat: Vector | None) -> bool:
    """Whether two runs on the same stream agree bit by bit."""
    return repeat is not None and base.shape == repeat.shape and base.tobytes() == repeat.tobytes()


def honest_changes(base: Vector, position: int, targets: int, ordered: bool = False) -> int:
    """The most entries that an honest scorer changes when the tokens from ``position`` on are rewritten.

    Where each token is known to have one entry (``ordered``), no more than the rewritten tokens' change. Otherwise
    each token before ``position`` is scored at least once by an entry that may not change, so what is left is the
    N - q + 1 rewritten tokens and every entry beyond one per token, which may be a token of the end scored again. A
    scorer that leaves a part of the stream out hides how often it scores the end: then each rewritten token counts as
    often as overlapping windows repeat one.
    """
    scored = int(np.count_nonzero(base))
    rewritten = targets - position + 1
    if ordered:
        return rewritten
    if scored < (1.0 - LEFT_OUT) * targets:
        return rewritten * REPEATS
    return rewritten + abs(scored - targets)


LEFT_OUT = 0.03
"""Share of the targets that may go unscored because each document's first token has no prediction."""
REPEATS = 4
"""Windows of 64 tokens every 16: how often the last token is scored in the toy set-up."""


def shift(base: Vector, rewritten: Vector | None, position: int, targets: int, ordered: bool = False) -> Shift | None:
    """Compare a run whose tokens from ``position`` on were rewritten with the base run; None if not comparable."""
    moved = changed(base, rewritten)
    if moved is None or rewritten is None:
        return None
    largest = float(np.abs(base - rewritten).max()) if base.size else 0.0
    allowed = honest_changes(base, position, targets, ordered)
    return Shift(position, targets, base.size, len(moved), allowed, largest)


def is_reordered(
    base: Vector,
    moved: frozenset[int] | None,
    rewritten: frozenset[int] | None,
    sizes: Sequence[int],
    late: frozenset[int] | None = None,
    most: int = 0,
) -> bool:
    """Whether a rewrite of the last token alone looks like tokens scored in another order than the stream's.

    Scorers that sort documents by length may score the last document first and adapt on it: the last token then moves
    scores of earlier documents, but in its own forward pass only its own, with the tokens before it in front. A leak
    moves several scores of the first pass that it reaches at all, or one among tokens that are none of its own. Where a
    rewrite of the last few tokens reaches no earlier pass, nothing has adapted to them yet, and it moves no more scores
    of this one than they are.

    Args:
        base: scores.
        moved: entries that a rewrite of the last token changed.
        rewritten: entries that a rewrite of the stream's second half changed, the last document among it.
        sizes: entries of each reduction, in the order in which they were made.
        late: entries that a rewrite of the last few tokens changed, where that was run.
        most: what an honest scorer changes at most by it.
    """
    begin = 0
    for size in sizes:
        inside = [entry for entry in moved or () if begin <= entry < begin + size]
        if inside:
            alone = len(inside) == 1 and size >= _ROWS and len(moved or ()) > 1
            before = [entry for entry in range(begin, inside[0]) if base[entry]][-_ROWS:]
            strange = [entry for entry in before if entry not in (rewritten or before)]
            many = sum(entry < begin + size for entry in late or ()) > most and min(late or ()) >= begin
            return alone and not many and 2 * len(strange) <= max(len(before), _FEWEST_BEFORE)
        begin += size
    return False


_ROWS = 8
"""Entries of a reduction that is a forward pass rather than a single token's, and of its tokens before the last that
are looked at."""
_FEWEST_BEFORE = 4
"""Where fewer than half of so many stand in front, nothing is known of whose they are."""


def own_entry(from_here: frozenset[int] | None, from_next: frozenset[int] | None) -> int | None:
    """The entry that scores the token at t: in C(t) and not in C(t + 1), the first where it is scored again.

    Neither order nor variance tells it: layouts sorted by document put later tokens into earlier rows. A scorer that
    optimises a whole window leaves the difference empty.

    Args:
        from_here: C(t).
        from_next: C(t + 1); empty for the last token.
    """
    if from_here is None or from_next is None:
        return None
    return min(from_here - from_next, default=None)


def total_probability(
    base: Vector,
    token: int,
    substituted: Mapping[int, Vector | None],
    position: int,
    reach: frozenset[int],
    beyond: frozenset[int],
) -> Total | None:
    """Sum the probabilities that the scorer gives each candidate at one position.

    A candidate that moved a score outside of ``reach`` changed more than one token (a substituted document mark splits
    the documents anew), so its number belongs to another distribution and is left out; what remains is a lower bound.

    Args:
        base: scores with ``token`` in its place.
        token: the token at ``position`` in the base stream.
        substituted: scores with each other candidate in its place; None where that run has no comparable ones.
        position: t.
        reach: C(t).
        beyond: C(t + 1).

    Returns:
        None when the scorer has no entry of its own for the token.
    """
    entry = own_entry(reach, beyond)
    if entry is None:
        return None
    total, candidates = float(np.exp(-base[entry])), 1
    for candidate, vector in substituted.items():
        moved = changed(base, vector)
        if candidate == token or vector is None or moved is None or not moved <= reach or vector[entry] == 0.0:
            continue  # a loss of exactly zero is a token that is not scored
        total, candidates = total + float(np.exp(-vector[entry])), candidates + 1
    return Total(position, entry, total, candidates, float(np.exp(-base[entry])))


def carried(base: Vector, early: Vector | None, late: frozenset[int] | None) -> float:
    """Share of the late entries that a rewrite of the stream's beginning moved.

    A network that sees one window moves none of them: what moves is state that the scorer carried along.

    Args:
        base: scores.
        early: scores with the beginning rewritten.
        late: entries more than a window later.
    """
    moved = changed(base, early)
    if not late or moved is None:
        return 0.0
    return len(moved & late) / len(late)


def differing(final: Vector, plain: Sequence[Vector]) -> float:
    """The smallest share of entries in which the final scores differ from another score of the same shape; 0 if none.

    Args:
        final: the claimed score's entries.
        plain: entries of other scores that the run printed.
    """
    shares = [float(np.mean(np.abs(final - other) > NOISE)) for other in plain if other.shape == final.shape]
    return min(shares, default=0.0)
