"""What every mixer asks of its caller."""

from __future__ import annotations

from evaluator.ledger import ScoredTokens, Tokens, require_scored
from evaluator.mixer.base import Float64


def check_tokens(tokens: Tokens, vocab_size: int) -> None:
    """Raise ValueError unless every token is an id of a vocabulary of ``vocab_size`` tokens."""
    if not 1 <= vocab_size <= 2**16:
        raise ValueError(f"a vocabulary of uint16 ids has 1 to 65536 tokens, not {vocab_size}")
    if len(tokens) and int(tokens.max()) >= vocab_size:
        raise ValueError(f"token {int(tokens.max())} is not in a vocabulary of {vocab_size}")


def span_values(name: str, values: Float64 | None, position: int, stop: int) -> Float64:
    """``values``, checked to be given for positions ``position .. stop - 1``.

    Raises:
        ValueError: they are missing or have another shape.
    """
    if values is None:
        raise ValueError(f"this mixer needs the base's {name}")
    if values.shape != (stop - position,):
        raise ValueError(
            f"positions {position} to {stop - 1} need base.{name} of shape ({stop - position},), not {values.shape}"
        )
    return values


def check_learnable(scored: ScoredTokens, learned: int, position: int) -> None:
    """Raise unless ``scored`` is what was scored between ``learned``, where learning stands, and ``position``.

    Raises:
        TypeError: ``scored`` does not come from the ledger.
        ValueError: it begins elsewhere or ends past ``position``.
    """
    require_scored(scored)
    if scored.start != learned or scored.stop > position:
        raise ValueError(
            f"learning stands at position {learned} and scoring at {position}: "
            f"positions {scored.start} to {scored.stop - 1} cannot be learned from"
        )
