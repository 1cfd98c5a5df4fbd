"""Whether what a submission is about really ran. A pass of a mechanism that never engaged says nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from auditor.probe.measure import Measured

if TYPE_CHECKING:
    from auditor.audited import Audited

TRAINING = "test-time training"
STATISTICS = "n-gram statistics"
FITTING = "per-window fitting"

ENGAGED = 0.1
"""Share of the scores that the mechanism must have moved."""

_OF_FACT = {
    "adaptations": TRAINING,
    "updates_before_score": TRAINING,
    "target_keyed_reads": STATISTICS,
    "unnormalised_mixtures": STATISTICS,
    "rescores": STATISTICS,
    "slot_updates": FITTING,
}
_IN_TEXT: Mapping[str, re.Pattern[str]] = {
    TRAINING: re.compile(r"\bttt\b|ttt_|_ttt|test.time.train", re.IGNORECASE),
    STATISTICS: re.compile(r"n_?gram|backoff|\bppm\b|hint", re.IGNORECASE),
    FITTING: re.compile(r"\bslot\b|slot_|_slot", re.IGNORECASE),
}
_CARRIES = frozenset({TRAINING, STATISTICS})
"""Mechanisms that keep state from window to window, so that an early token reaches late scores."""


def expected_mechanisms(audited: Audited) -> tuple[str, ...]:
    """What the static half says is on under the documented launch; where it is incomplete, what the text speaks of."""
    facts = {name for name, evidence in audited.flow.found() if not evidence.dormant}
    found = {mechanism for name, mechanism in _OF_FACT.items() if name in facts}
    if audited.flow.unanalysed or not audited.flow.reports:
        texts = [source.text for source in audited.submission.sources.values()]
        found |= {name for name, pattern in _IN_TEXT.items() if any(pattern.search(text) for text in texts)}
    return tuple(name for name in _IN_TEXT if name in found)


def engaged_mechanisms(expected: Sequence[str], measured: Sequence[Measured]) -> tuple[str, ...]:
    """Those of the expected mechanisms that were seen to move scores.

    State that is carried along shows by itself. What is fitted to a window and forgotten shows only where the run
    printed the scores without it, too. A leak is the work of the mechanism where only one is expected.
    """
    carries = any(item.carried > ENGAGED for item in measured)
    differs = any(item.differing > ENGAGED for item in measured)
    leaks = len(expected) == 1 and any(item.leaks for item in measured)
    return tuple(
        name for name in expected if leaks or (carries if name in _CARRIES else differs) or (carries and differs)
    )
