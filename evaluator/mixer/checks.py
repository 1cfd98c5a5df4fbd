"""What every mixer asks of its caller."""

from __future__ import annotations

import numpy as np

from evaluator.ledger import ScoredTokens, Tokens, require_scored
from evaluator.mixer.base import Float64


def check_tokens(tokens: Tokens, vocab_size: int) -> None:
    """Raise ValueError unless every token is an id of a vocabulary of ``vocab_size`` tokens."""
    if not 1 <= vocab_size <= 2**16:
        raise ValueError(f"a vocabulary of uint16 ids has 1 to 65536 tokens, not {vocab_size}")
    if len(tokens) and int(tokens.max()) >= vocab_size:
        raise ValueError(f"token {int(tokens.max())} is not in a vocabulary of {vocab_size}")


def span_values(name: str, values: Float64 | None, start: int, stop: int) -> Float64:
    """``values``, one of :class:`BaseScores`, checked to be given for positions ``start .. stop - 1``.

    Raises:
        ValueError: they are missing or have another shape.
    """
    if values is None:
        raise ValueError(f"this mixer needs the base's {name}")
    if values.shape != (stop - start,):
        raise ValueError(f"positions {start} to {stop - 1} have {stop - start} scores, base.{name} has {values.shape}")
    return values


class Learning:
    """Where learning stands, and what was heard from the network since.

    The network's scores come in by :meth:`append` and are given out by :meth:`take`, against :class:`ScoredTokens`:
    nothing is learned from a token before its score is in the ledger.
    """

    def __init__(self) -> None:
        self._position = 0
        self._heard: list[Float64] = []

    def append(self, values: Float64) -> None:
        """Keep a copy of the network's log-probabilities of the next positions."""
        self._heard.append(values.copy())

    def take(self, scored: ScoredTokens, position: int) -> Float64:
        """What was appended for the positions of ``scored``; they are learned from once.

        Raises:
            TypeError: ``scored`` does not come from the ledger.
            ValueError: it does not begin where learning stands, or ends past ``position``, where scoring stands.
        """
        require_scored(scored)
        if scored.start != self._position or scored.stop > position:
            raise ValueError(
                f"learning stands at position {self._position} and scoring at {position}: "
                f"positions {scored.start} to {scored.stop - 1} cannot be learned from"
            )
        self._position = scored.stop
        heard = np.concatenate([*self._heard, np.empty(0)])
        self._heard = [heard[len(scored.nll) :]]
        return heard[: len(scored.nll)]
