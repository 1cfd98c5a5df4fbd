"""``evaluate --sanity``: is this the model that was trained?

A wrong slope, rotary base or loop range loads without an error, because no shape shows it. What shows it is the loss:
of windows that do not overlap, before any adaptation and without a mixer, as the submission's own log gives it for its
quantised model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from evaluator.scorecard import Scorecard
from evaluator.settings import EvalPreset, ScoringSettings, WindowSettings

TOLERANCE: Final = 0.002
"""In bpb. Another precision moves the loss by some 1e-4, another slope or rotary base by 1e-2 and more."""

_CHUNK: Final = 32_768
_ROUND_TRIP: Final = re.compile(
    r"^(?:diagnostic )?(?P<label>quantized|final_\w*?roundtrip(?P<exact>_exact)?)\s+"
    r"val_loss:\s?[\d.]+\s+val_bpb:\s?(?P<bpb>\d+\.\d+)",
    re.MULTILINE,
)
_ADAPTED: Final = re.compile(r"^ttt\w*[: ]", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Expected:
    """What the loss should be: bits per byte, and where that comes from, for a reader."""

    bpb: float
    source: str


def sanity_preset(context_len: int) -> EvalPreset:
    """Windows of ``context_len`` positions that do not overlap, nothing else."""
    windows = WindowSettings("W-C", context_len, context_len)
    return EvalPreset(ScoringSettings(windows, max(_CHUNK // context_len, 1) * context_len, micro_batch=8))


def read_expected(value: str) -> Expected:
    """A number, or the log that has it: the last line for the quantised model without sliding windows.

    Raises:
        ValueError: neither.
    """
    try:
        return Expected(float(value), "as given")
    except ValueError:
        pass
    try:
        text = Path(value).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ValueError(f"{value} is neither a number nor a log: {error.strerror}") from None
    found = list(_ROUND_TRIP.finditer(text))
    if not found:
        raise ValueError(f"{value} has no line with the loss of the quantised model (roundtrip or quantized, val_bpb)")
    best = [line for line in found if line["exact"]] or found
    adapted = _ADAPTED.search(text, 0, best[-1].start())
    warning = ", after a line on test-time training: perhaps of the adapted model" if adapted else ""
    return Expected(float(best[-1]["bpb"]), f"{Path(value).name}: {best[-1]['label']}{warning}")


def verdict(card: Scorecard, expected: Expected | None) -> tuple[str, bool]:
    """One line on a scored run, and whether it may be the model that was trained."""
    if card.bpb is None:
        return "sanity: no score", False
    line = f"sanity: {card.bpb:.6f} bpb without overlap, adaptation or mixer"
    if expected is None:
        return f"{line}; compare it with the loss of the quantised model in the log", True
    difference = card.bpb - expected.bpb
    agrees = abs(difference) <= TOLERANCE
    found = "agrees" if agrees else "DIFFERS: the preset, the artifact or the data are not those of the log"
    return f"{line}; expected {expected.bpb:.6f} ({expected.source}), difference {difference:+.6f}: {found}", agrees
