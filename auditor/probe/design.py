"""Where a stream is tested, and the streams that test it. The same for every submission, so that audits repeat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from auditor.probe.plan import Stream, Variant
from auditor.probe.streams import BOS, FIRST_TEXT_TOKEN, periodic_stream

Tokens = npt.NDArray[np.uint16]
Kind = Literal["base", "repeat", "rewrite", "early", "substitute", "train", "first", "second"]

WINDOWS = 4
"""Sequences of the toy validation stream."""
_QUIET = 24
"""Tokens without noise in front of a tested position, so that statistics of n-grams know what follows."""

PIECE = 3
"""Tokens that are rewritten for one of two ranks; fewer at the stream's end."""
_REFRAIN = 36
"""Last tokens of the stream: two by turns, so that a model of bytes, which asks for ten sightings, is sure of them.
Both begin a word, so that what it expects is two tokens: the space, and the space with its letter."""
_FEW_TOKENS = 6
"""Rewritten at the beginning of a document, so that what is adapted to one document shows at its end."""
_TRAIN_TOKENS = 100_000
"""As many as the usual training stream has."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one stream changes in the base stream.

    Attributes:
        kind: ``base`` and ``repeat`` nothing, ``rewrite`` every token from ``position`` on, ``early`` the first half of
            the first window, or a few tokens from ``position`` on, ``substitute`` the token at ``position``; ``train``
            nothing either, but the training stream is another one from the moment when the artifact is written;
            ``first`` and ``second`` the :data:`PIECE` tokens from ``position`` on, in that rank's copy of two.
        position: of 1..N; 0 where it has no meaning.
        token: the substituted token.
    """

    kind: Kind
    position: int = 0
    token: int = -1


@dataclass(frozen=True)
class Design:
    """The base stream and the tested positions.

    Attributes:
        vocabulary: V.
        sequence: tokens of a window.
        tokens: uint16 [N + 1].
        positions: tested ones, the most telling first: in the third window, the last token, then the others.
    """

    vocabulary: int
    sequence: int
    tokens: Tokens
    positions: tuple[int, ...]

    @property
    def targets(self) -> int:
        """N, tokens that are predicted."""
        return len(self.tokens) - 1

    @property
    def last_document(self) -> tuple[int, int]:
        """Where the last document's text begins, and the first token that no window shares with its first few."""
        begin = int(np.flatnonzero(self.tokens == BOS)[-1]) + 1
        return begin, begin + _FEW_TOKENS + self.sequence

    def apply(self, change: Change) -> Tokens:
        """The base stream with the change applied; marks of documents stay where they are."""
        tokens = self.tokens.copy()
        if change.kind == "rewrite":
            tokens[change.position :] = self._other(tokens[change.position :], change.position)
        elif change.kind == "early":
            begin = change.position or 1
            end = begin + _FEW_TOKENS if change.position else self.sequence // 2
            tokens[begin:end] = self._other(tokens[begin:end], begin)
        elif change.kind == "substitute":
            tokens[change.position] = change.token
        elif change.kind in {"first", "second"}:
            piece = slice(change.position, change.position + PIECE)
            tokens[piece] = self._other(tokens[piece], change.position)
        return tokens

    def stream(self, change: Change) -> Stream:
        """The changed stream, its bytes counted by the toy tokenizer."""
        return Stream(self.apply(change))

    def variant(self, change: Change) -> Variant:
        """A run through the whole ``main``."""
        swapped = change.kind == "train"
        train = Stream(periodic_stream(self.vocabulary, _TRAIN_TOKENS, seed=17, period=53)) if swapped else None
        position = change.position if change.kind == "rewrite" else 0
        return Variant(change.kind, self.stream(change), position, train, train_after=swapped)

    def ranked(self, change: Change) -> Variant:
        """A run with two ranks, one of which gets the changed stream where ``change`` is of one rank's copy."""
        base, other = self.stream(Change("base")), self.stream(change)
        first, second = (other, base) if change.kind == "first" else (base, other)
        return Variant(change.kind, first, other=second)

    def _other(self, tokens: Tokens, seed: int) -> Tokens:
        """Another text token in each place of one; special tokens stay."""
        span = self.vocabulary - FIRST_TEXT_TOKEN
        steps = np.random.default_rng(seed).integers(1, span, size=len(tokens))
        moved = (tokens.astype(np.int64) - FIRST_TEXT_TOKEN + steps) % span + FIRST_TEXT_TOKEN
        return np.where(tokens < FIRST_TEXT_TOKEN, tokens, moved).astype(np.uint16)


def make_design(vocabulary: int, sequence: int) -> Design:
    """The design for a toy set-up.

    Args:
        vocabulary: V.
        sequence: tokens of a window.
    """
    targets = WINDOWS * sequence
    middle = targets // 2 + sequence // 2 + 5
    wanted = (
        middle,
        targets,
        targets // 4 + 9,
        targets - sequence + 3,
        targets // 2 - 18,
        targets - sequence // 3,
    )
    quiet = [(max(position - _QUIET, 1), position + 1) for position in wanted]
    tokens = periodic_stream(vocabulary, targets + 1, quiet=quiet)
    tokens[-_REFRAIN:] = np.resize(FIRST_TEXT_TOKEN + np.arange(2), _REFRAIN)
    return Design(vocabulary, sequence, tokens, tuple(p for p in wanted if tokens[p] != BOS))


def leak_changes(design: Design) -> tuple[Change, ...]:
    """Runs through the whole ``main`` that show whether a score depends on later tokens: the first experiment.

    The run that repeats the first is the last of them: where there is no leak, it is the one in which calls are forked.
    """
    middle, last, *_ = design.positions
    return (Change("base"), Change("rewrite", last), Change("rewrite", middle), Change("repeat"))


def single_change(design: Design) -> Change:
    """The change of one token, for a smaller counter-example where the last token shows no leak."""
    middle = design.positions[0]
    other = next(token for token in reversed(candidates(design)) if token != design.tokens[middle])
    return Change("substitute", middle, other)


def late_position(design: Design) -> int:
    """The last tested position but the last token; in a design of one position, that."""
    return max((position for position in design.positions if position < design.targets), default=design.positions[0])


def order_change(design: Design) -> Change:
    """The change of the last few tokens, which tells a leak from another order than the stream's."""
    return Change("rewrite", late_position(design))


def further_changes(design: Design) -> tuple[Change, ...]:
    """Further runs through the whole ``main``, for submissions that did not leak."""
    return (Change("rewrite", design.positions[2]), Change("early"), Change("train"))


def call_changes(design: Design, tested: Sequence[int]) -> tuple[Change, ...]:
    """Runs of a forked scorer: causality at every position, then the candidates position by position.

    Args:
        design: the streams.
        tested: some of the tested positions.
    """
    rewrites = sorted({q for position in tested for q in (position, position + 1) if q <= design.targets})
    substitutions = [
        Change("substitute", position, token)
        for position in tested
        for token in candidates(design)
        if token != design.tokens[position]
    ]
    begin, late = design.last_document
    adapted = [Change("early", begin), Change("rewrite", late)] if late <= design.targets else []
    return (
        Change("base"),
        Change("repeat"),
        *(Change("rewrite", position) for position in rewrites),
        Change("early"),
        *adapted,
        *substitutions,
    )


def candidates(design: Design) -> Sequence[int]:
    """Every token that may stand in place of another; BOS would split the documents anew."""
    return [token for token in range(design.vocabulary) if token != BOS]
