"""Under which name a run prints the score that the submission claims."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from auditor.claim import SAME, claimed_labels

if TYPE_CHECKING:
    from auditor.audited import Audited

_PRINTED = re.compile(rb"(\w*(?:bpb|mix)\w*)[\"']?\s*[:=]\s*(\d+\.\d{4,})")
_EVERY_SCORE = frozenset({b"val_bpb", b"bpb"})
"""Names that tell no score from another."""
_MOST_BYTES = 4 << 20


def score_labels(audited: Audited) -> frozenset[str]:
    """Labels of the lines that print claimed scores; where none is known, the names of numbers that are the claim."""
    return claimed_labels(audited) or claimed_names(audited)


def claimed_names(audited: Audited) -> frozenset[str]:
    """Names of printed numbers that are the claim.

    A mixture's score is often printed in a line of its own making, such as ``ppm_mix bytes=27048621 mix_bpb=0.9``, and
    claimed as one run's or as the mean over the runs.
    """
    metadata = audited.submission.metadata
    if metadata is None:
        return frozenset()
    root = audited.submission.root
    texts = [(root / run.name).read_bytes()[-_MOST_BYTES:] for run in audited.runs if (root / run.name).is_file()]
    return names_of(metadata.claimed_bpb, [dict(_PRINTED.findall(text)) for text in texts])


def names_of(claimed: Sequence[float], printed: Sequence[Mapping[bytes, bytes]]) -> frozenset[str]:
    """Names under which the runs print a claimed number, or numbers whose mean is one.

    A log that is kept twice is one run of the mean.

    Args:
        claimed: bits per byte.
        printed: of each run, the last number under each name.
    """
    found: dict[bytes, list[float]] = {}
    for run in printed:
        for name, number in run.items():
            found.setdefault(name, []).append(float(number))
    return frozenset(
        name.decode("ascii", "replace")
        for name, numbers in found.items()
        if name not in _EVERY_SCORE
        for number in (*numbers, fmean(set(numbers)))
        if any(abs(number - claim) <= SAME for claim in claimed)
    )
