"""What experiments can prove, and the rules that say so. Imports nothing heavy: most audits stop here."""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditor.submission import Submission


class Kind(enum.StrEnum):
    """The condition that an experiment found broken."""

    TRAINED = "weights learned from validation text before they were written"
    LEAK = "a score depends on later tokens"
    EXCESS = "probabilities add up to more than one"
    TRAINING_DATA = "the score depends on training data that is not in the artifact"
    RANKS = "a score depends on another rank's text that is not scored yet"
    BYTES = "more bytes are credited than the text has"


BYTE_MIXTURE = "byte-mixture-not-token-normalised"
"""The rule for sums above one of what is scored byte by byte, whatever else is traced in the same mixture."""

RULES: dict[Kind, tuple[str, ...]] = {
    Kind.TRAINED: ("prequant-val-ttt", "val-in-training", "calibrate-on-val"),
    Kind.LEAK: (
        "slot-on-scored-positions",
        "slot-shared-context-leak",
        "ttt-rescore-epochs",
        "ttt-before-score",
        "two-pass-rescore",
        "causal-dependence",
    ),
    Kind.EXCESS: (
        "ngram-target-in-key",
        "hint-gated-by-target",
        "oracle-min-nll",
        "pseudo-probability-expert",
        BYTE_MIXTURE,
        "ngram-not-normalised",
    ),
    Kind.TRAINING_DATA: ("training-data-at-eval",),
    Kind.RANKS: ("ttt-before-score", "two-pass-rescore", "causal-dependence"),
    Kind.BYTES: ("bpb-denominator",),
}
"""Rules that such a failure can prove, the first with a static path wins."""

FALLBACK = {
    Kind.TRAINED: "prequant-val-ttt",
    Kind.LEAK: "causal-dependence",
    Kind.EXCESS: "ngram-not-normalised",
    Kind.TRAINING_DATA: "training-data-at-eval",
    Kind.RANKS: "causal-dependence",
    Kind.BYTES: "bpb-denominator",
}
"""The rule when no static path agrees."""

EXPERIMENT_ONLY = "what the specific rules of C1 do not name takes an experiment to find"
"""What ``causal-dependence`` says of itself where no experiment was made; a pass makes it clear."""

OF_SCORES = frozenset(rule for kind, rules in RULES.items() if kind is not Kind.BYTES for rule in rules)
"""Rules about the scores themselves, which every experiment asks about; bytes are counted by one of their own."""

PROVABLE = frozenset(rule for rules in RULES.values() for rule in rules) | frozenset(FALLBACK.values())
"""Rules that an experiment can prove; when none of them is asked, none runs."""


def predicted(traced: Collection[str]) -> set[Kind]:
    """The failures that experiments should show, if what the static half traced is so."""
    return {kind for kind, rules in RULES.items() if not set(rules).isdisjoint(traced)}


def why_not(asked: Iterable[str], submission: Submission) -> str:
    """Why experiments would say nothing; empty when they may.

    Args:
        asked: ids of the rules that are asked.
        submission: what would run.
    """
    if not PROVABLE.intersection(asked):
        return "no rule that they can prove is asked"
    if submission.main is None:
        return "there is no script"
    if not any("torch" in source.text for source in submission.sources.values()):
        return "the script does not use torch"
    return ""
