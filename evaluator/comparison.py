"""Several evaluation presets on one artifact and data set: what each claims, what is honest, what its sums are."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from statistics import fmean, median

import msgspec

from evaluator.display import Display
from evaluator.evaluation import evaluate
from evaluator.resolve import Options
from evaluator.scorecard import Normalisation, Scorecard
from evaluator.settings import Condition, EvalPreset

BINS = 64
"""Stretches of the stream over which the sums are averaged for a plot."""


class Sums(msgspec.Struct, frozen=True):
    """``sum_v p(v)`` over the sampled positions: 1 everywhere, or it is no probability (C2)."""

    smallest: float
    median: float
    largest: float
    positions: int


class Row(msgspec.Struct, frozen=True):
    """One preset.

    Attributes:
        preset: its name.
        claimed: bits per byte that it gives.
        honest: bits per byte of its legal counterpart on the same artifact and data, if compared; its own if legal.
        normalised: what it would give, about, were each distribution divided by its own sum; estimated from the sampled
            positions. Says what a broken C2 is worth, nothing of the other conditions.
        sums: of the sampled distributions.
        breaks: the conditions that it breaks, and how.
        message: why there is no score.
    """

    preset: str
    claimed: float | None
    honest: float | None
    normalised: float | None
    sums: Sums | None
    breaks: dict[Condition, str]
    message: str | None


class Comparison(msgspec.Struct, frozen=True):
    """The rows, and the scorecards that they come from, by preset."""

    rows: tuple[Row, ...]
    cards: dict[str, Scorecard]

    @property
    def title(self) -> str:
        """Contest, data and model in a line."""
        card = next(iter(self.cards.values()))
        data = f"{card.coverage.positions:,} tokens" if card.coverage else "no data"
        model = f"{card.model.parameters:,} parameters" if card.model else "no model (uniform distribution)"
        return f"{card.contest}, {data}, {model}"


def compare(options: Options, presets: Mapping[str, EvalPreset], display: Display) -> Comparison:
    """Evaluate with each of ``presets``, scaled to data and model; nothing of it is official."""
    cards = {}
    for name, preset in presets.items():
        display.note(f"compare: {name}")
        cards[name] = evaluate(dataclasses.replace(options, scoring=preset, scaled=True), display)
    return Comparison(tuple(_row(preset, cards) for preset in presets), cards)


def _row(preset: str, cards: dict[str, Scorecard]) -> Row:
    card = cards[preset]
    honest = card if card.published is None else cards.get(card.published.legal)
    return Row(
        preset=preset,
        claimed=card.bpb,
        honest=honest.bpb if honest else None,
        normalised=_normalised(card),
        sums=_sums(card.normalisation) if card.normalisation else None,
        breaks=card.published.breaks if card.published else {},
        message=card.message if card.bpb is None else None,
    )


def _sums(found: Normalisation) -> Sums:
    return Sums(min(found.sums), median(found.sums), max(found.sums), len(found.sums))


def _normalised(card: Scorecard) -> float | None:
    """``bpb + E[log2 sum] T / bytes``: dividing a distribution by its sum adds the logarithm of the sum to the nll."""
    if card.score is None or card.normalisation is None:
        return None
    return card.score.bpb + fmean(map(math.log2, card.normalisation.sums)) * card.score.tokens / card.score.bytes


def bpb_so_far(card: Scorecard) -> list[tuple[float, float]]:
    """(position, bits per byte up to it) along the stream."""
    return [(float(c.stop), c.nll / (math.log(2) * c.bytes)) for c in card.chunks if c.bytes]


def sums_along(card: Scorecard) -> list[tuple[float, float]]:
    """(position, mean ``sum_v p(v)`` of the samples in a stretch of the stream)."""
    if card.normalisation is None:
        return []
    positions, sums = card.normalisation.positions, card.normalisation.sums
    step = -(-len(positions) // BINS)
    return [(fmean(positions[i : i + step]), fmean(sums[i : i + step])) for i in range(0, len(positions), step)]
