"""What the caller of an audit may choose. Imports nothing heavy: a cached answer needs no more than this."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditor.suppressions import Suppression


@dataclass(frozen=True)
class Options:
    """What a caller may choose.

    Attributes:
        select: only these rules; empty for all.
        ignore: not these rules.
        as_of: judge by the rulings of that day; None for today's.
        all_flags: analyse branches that the documented launch leaves off, too.
        strict: notes of severity R decide as well.
        suppressions: the reviewer's.
        known: fingerprints of a baseline.
        probe: how to run experiments on the submission's code; None runs none.
    """

    select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    as_of: datetime.date | None = None
    all_flags: bool = False
    strict: bool = False
    suppressions: tuple[Suppression, ...] = ()
    known: frozenset[str] = field(default_factory=frozenset)
    probe: ProbeOptions | None = None


@dataclass(frozen=True)
class ProbeOptions:
    """What a caller may choose about the experiments.

    Attributes:
        budget: CPU seconds for all of them.
        python: interpreter for the submission's code; None for ours.
        evidence: folder that counter-examples are written to; None for nowhere.
    """

    budget: float = 120.0
    python: Path | None = None
    evidence: Path | None = None
