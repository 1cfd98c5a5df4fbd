"""The ledger of credited scores: the only mint of :class:`ScoredTokens`.

This is the first of the two doors. Whatever *learns* during an evaluation takes :class:`ScoredTokens`, and the one way
to obtain them is to have a score credited here, for good. "Score before update" (C3) is thereby a matter of types:
training on a token that was not scored does not type-check, and raises.

Positions are those of the contest: position ``p`` has input ``tokens[p]`` and target ``tokens[p + 1]``; a stream of
``N`` tokens has ``T = N - 1`` positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.uint16]
Nanonats = npt.NDArray[np.int64]

QUANTUM: Final = 2.0**-30
"""One unit of a credited score, in nats. 62 million scores of up to 28 nats each sum below 2**61."""


def to_fixed_point(nll: npt.NDArray[np.float64]) -> Nanonats:
    """Round negative log-likelihoods (nats) once, to integer multiples of :data:`QUANTUM`, half to even.

    Raises:
        ValueError: a value is negative beyond rounding, infinite or not a number.
    """
    if not np.isfinite(nll).all():
        raise ValueError("a score is not finite")
    units = np.rint(nll / QUANTUM).astype(np.int64)
    if (units < 0).any():
        raise ValueError("a probability is above one")
    return units


class _Mint:
    """Proof that a :class:`Ledger` made the object that carries it."""


@final
@dataclass(frozen=True, slots=True, eq=False)
class ScoredTokens:
    """Tokens whose scores stand in the ledger: what test-time training and online mixers may learn from.

    Attributes:
        start: first scored position.
        tokens: uint16, shape ``(n + 1,)``: ``tokens[:-1]`` are the inputs of positions ``start .. start + n - 1`` and
            ``tokens[1:]`` their targets; every target has been scored. Read-only.
        nll: int64, shape ``(n,)``: the credited scores in units of :data:`QUANTUM`. Read-only.
    """

    start: int
    tokens: Tokens
    nll: Nanonats
    _mint: _Mint

    def __post_init__(self) -> None:
        if type(self._mint) is not _Mint:
            raise TypeError("only a Ledger makes ScoredTokens: credit the score first")

    @property
    def stop(self) -> int:
        """One past the last scored position."""
        return self.start + len(self.nll)


def require_scored(scored: ScoredTokens) -> None:
    """Raise TypeError unless ``scored`` really is :class:`ScoredTokens` (for callers that no type checker saw)."""
    if type(scored) is not ScoredTokens:
        raise TypeError(f"learning takes ScoredTokens from the ledger, not {type(scored).__name__}")


class Ledger:
    """Credits each position once, from left to right (C4), and hands out :class:`ScoredTokens` in return.

    Args:
        tokens: uint16, shape ``(T + 1,)``: the validation stream.
    """

    def __init__(self, tokens: Tokens) -> None:
        if len(tokens) < 2:
            raise ValueError("a stream needs at least two tokens to have a target")
        self._tokens = tokens
        self._nll = np.zeros(len(tokens) - 1, np.int64)
        self._position = 0
        self._again = 0
        self._again_count = 0
        self._mint = _Mint()

    @property
    def position(self) -> int:
        """The next position to be credited; all before it are."""
        return self._position

    @property
    def positions(self) -> int:
        """Number of positions ``T`` of the stream."""
        return len(self._nll)

    def credit(self, start: int, nll: Nanonats) -> ScoredTokens:
        """Enter the scores of positions ``start .. start + len(nll) - 1`` for good.

        Raises:
            ValueError: ``start`` is not the next position, or the scores run past the end of the stream.
        """
        stop = start + len(nll)
        if start != self._position:
            raise ValueError(f"position {start} cannot be credited: the next one is {self._position}")
        if stop > len(self._nll):
            raise ValueError(f"position {stop - 1} is past the end of the stream ({len(self._nll)} positions)")
        self._nll[start:stop] = nll
        self._position = stop
        tokens, credited = self._tokens[start : stop + 1], self._nll[start:stop]
        tokens.flags.writeable = credited.flags.writeable = False
        return ScoredTokens(start, tokens, credited, self._mint)

    def credit_again(self, position: npt.NDArray[np.int64], nll: Nanonats) -> None:
        """Add further scores of positions already credited (windows W-A do that); never official, mints nothing."""
        if (position >= self._position).any():
            raise ValueError("a second score needs a first one")
        self._again += int(nll.sum())
        self._again_count += len(nll)

    @property
    def nll(self) -> Nanonats:
        """Credited scores so far in stream order, int64 ``(position,)``, units of :data:`QUANTUM`."""
        return self._nll[: self._position]

    @property
    def total(self) -> int:
        """Sum of all credited scores, second scores included, in units of :data:`QUANTUM`."""
        return int(self.nll.sum()) + self._again

    @property
    def scored(self) -> int:
        """Number of scores credited, second scores included."""
        return self._position + self._again_count

    @property
    def exactly_once(self) -> bool:
        """Whether every position of the stream was scored exactly once."""
        return self._position == len(self._nll) and self._again_count == 0
