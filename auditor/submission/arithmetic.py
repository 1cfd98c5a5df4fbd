"""Arithmetic on what logs and metadata claim: bytes implied by a score, sizes, seconds, significance.

Pure functions; the constants are the contest's (:mod:`rules.contest.profile`).
"""

from __future__ import annotations

import lzma
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditor.submission.logs import Score
from rules.contest.profile import Validation

BYTES_TOLERANCE = 1e-3
"""Relative distance of implied from credited bytes up to which a score is taken for one over the whole split."""

_BASE85 = 5 / 4
_LOADER_BYTES = 120
"""A loader such as ``import lzma as L,base64 as B`` and an ``exec`` of one literal takes 90 to 120 bytes."""


@dataclass(frozen=True, slots=True)
class ImpliedBytes:
    """Bytes of text that a printed loss and bits per byte imply.

    Attributes:
        score: the log line.
        tokens: validation tokens that were assumed.
        value: implied bytes.
        error: half-width of the interval that the printed digits leave, bytes.
    """

    score: Score
    tokens: int
    value: float
    error: float

    def consistent_with(self, credited: int, tolerance: float = BYTES_TOLERANCE) -> bool:
        """Whether ``credited`` bytes lie within the tolerance and what rounding leaves."""
        return abs(self.value - credited) <= tolerance * credited + self.error


def implied_bytes(score: Score, tokens: int) -> ImpliedBytes | None:
    """``val_loss / ln 2 * tokens / val_bpb``; None without a loss.

    The printed digits bound the result: a loss and a score given to 4 decimals leave about 0.01 %.
    """
    if score.val_loss is None or score.val_bpb <= 0 or score.val_loss <= 0:
        return None
    value = score.val_loss / math.log(2) * tokens / score.val_bpb
    relative = _half_digit(score.val_loss) / score.val_loss + _half_digit(score.val_bpb) / score.val_bpb
    return ImpliedBytes(score, tokens, value, relative * value)


def _half_digit(number: float) -> float:
    """Half a unit in the last place of a number as printed, at most half a thousandth."""
    decimals = len(repr(number).partition(".")[2])
    return 0.5 * 10.0 ** -max(3, min(decimals, 15))


def bytes_per_token(score: Score) -> float | None:
    """Bytes per token that a score implies, whatever the number of tokens."""
    return None if score.val_loss is None else score.val_loss / math.log(2) / score.val_bpb


@dataclass(frozen=True, slots=True)
class TokenCount:
    """What a number of validation tokens in a log says about coverage.

    Attributes:
        tokens: the number.
        tokenizer: the tokenizer of whose stream it is the whole, up to a dropped tail; empty when it fits none.
        fraction: its share of that stream, else of the smallest known stream that is longer; NaN when none is. A number
            that fits none may still be the whole of another tokenizer's stream.
    """

    tokens: int
    tokenizer: str
    fraction: float


def known_token_count(tokens: int, validation: Validation, tail: int = 16_384) -> TokenCount:
    """Match a number of tokens with the contest's tokenizers.

    Args:
        tokens: as a log prints it.
        validation: what is known of the split.
        tail: tokens that rounding down to whole sequences or batches may drop.
    """
    known = [(item.tokens, item.name) for item in validation.tokenizations]
    known += [(count, name) for name, counts in validation.logged_tokens.items() for count in counts]
    for count, name in sorted(known):
        if 0 <= count - tokens <= tail:
            return TokenCount(tokens, name, tokens / count)
    longer = [count for count, _ in known if count > tokens]
    return TokenCount(tokens, "", tokens / min(longer) if longer else math.nan)


@dataclass(frozen=True, slots=True)
class Sizes:
    """A submission's size under the three definitions in use, bytes.

    Attributes:
        logged: total that the log prints.
        as_shipped: model and the entry script's own file.
        packed: model and the closure of scripts and kernels, packed as people pack it.
    """

    logged: int | None
    as_shipped: int | None
    packed: int | None


def sizes(logged: int | None, model: int | None, entry: str, closure: Iterable[str]) -> Sizes:
    """The three totals; those that need the model's size are None without it.

    Args:
        logged: total as printed.
        model: bytes of the compressed model.
        entry: text of the entry script as shipped.
        closure: text of every source and kernel that runs; the inner code of a packed script instead of its stub.
    """
    if model is None:
        return Sizes(logged, None, None)
    return Sizes(logged, model + len(entry.encode()), model + packed_size(closure))


def packed_size(texts: Iterable[str]) -> int:
    """Bytes of a loader that holds the texts as base85 of raw LZMA2, the shortest packer in common use.

    No minifier is applied: what one saves is its author's to claim.
    """
    blob = "\n".join(texts).encode("utf-8", "replace")
    packed = lzma.compress(
        blob, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}]
    )
    return math.ceil(len(packed) * _BASE85) + _LOADER_BYTES


@dataclass(frozen=True, slots=True)
class Significance:
    """A one-sided test that a mean loss beats a previous one by a margin.

    Attributes:
        runs: number of losses.
        mean: their mean, nats per token.
        improvement: previous loss minus the mean.
        p: probability of so much or more under the hypothesis that the improvement is the margin; 1 for a single run
            or where losses do not vary and do not clear it.
    """

    runs: int
    mean: float
    improvement: float
    p: float


def significance(losses: Sequence[float], previous: float, margin: float) -> Significance:
    """Student's one-sample t test of ``losses < previous - margin``.

    Args:
        losses: final loss of each run, nats per token; at least one.
        previous: loss of the record to beat.
        margin: improvement that is asked for, nats.

    Raises:
        ValueError: no losses.
    """
    if not losses:
        raise ValueError("no losses")
    mean = math.fsum(losses) / len(losses)
    target = previous - margin
    if len(losses) == 1:
        return Significance(1, mean, previous - mean, 1.0)
    variance = math.fsum((loss - mean) ** 2 for loss in losses) / (len(losses) - 1)
    if variance == 0:
        return Significance(len(losses), mean, previous - mean, 0.0 if mean < target else 1.0)
    from scipy import stats

    t = (mean - target) / math.sqrt(variance / len(losses))
    return Significance(len(losses), mean, previous - mean, float(stats.t.cdf(t, len(losses) - 1)))
