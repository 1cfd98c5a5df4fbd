"""What the flow analysis hands to the rules."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field, fields

from auditor.findings import Step


class Certainty(enum.StrEnum):
    """How much of the path is known."""

    TRACED = "traced"
    """From the entry into a reported score, under the launch configuration."""
    SUSPECTED = "suspected"
    """Signs; a part of the path was assumed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing found.

    Attributes:
        message: one sentence that names what happens in this code.
        file, line: where to look first.
        path: from the validation tokens to the reported score, in order.
        certainty: traced or suspected.
        dormant: the code is there but off under the launch configuration; only with ``all_flags``.
        prints: where scores that carry it are printed: the last calls on the way and the statement, each (file, line).
        per_row: for state fitted per batch, whether each row has its own; None when unknown or meaningless.
    """

    message: str
    file: str
    line: int
    path: tuple[Step, ...]
    certainty: Certainty
    dormant: bool = False
    per_row: bool | None = None
    prints: tuple[tuple[tuple[str, int], ...], ...] = ()


@dataclass(frozen=True, slots=True)
class FlowFacts:
    """Everything the analysis found, by what it shows; empty tuples where it looked and found nothing.

    Attributes:
        target_keyed_reads: a score uses a table read by a hashed key that contains the token to be predicted (3.2).
        unnormalised_mixtures: a score uses counts over a denominator that is not their sum over the vocabulary, or is
            scaled for the target alone (3.3).
        target_gates: a truth about a token, such as whether it begins a word, is part of its probability (3.5).
        leaks: a token goes into the computation of its own score, or of an earlier one, by another way (3.1).
        pseudo_experts: an entropy is mixed with negative log-likelihoods (3.4).
        oracle_choices: the better of two scores of a token is kept (3.6).
        byte_spreads: a token's log-probability is spread over its bytes and mixed with a byte model (3.7).
        slot_updates: per-batch state was fitted to the tokens that it then scores (3.8, 3.9 by ``per_row``).
        updates_before_score: weights that learned from validation tokens then score them, no artifact between (3.10).
        prequant_updates: the same, learned before the artifact was written (3.10).
        rescores: a table that holds tokens then scores them (3.12).
        val_calibrations: weights were quantised or averaged with statistics of validation tokens, or something was kept
            because it scores them better (3.15).
        warmups: something learned from validation tokens that no reported score uses (3.13).
        adaptations: something learned from validation tokens and then scored only others: score-first, for the record.
        train_reads_at_eval: training shards are read after the artifact was written (3.18).
        foreign_scores: where no score of the validation files is printed, one over fetched text (3.16).
        prints: where any score is printed, as in :class:`Evidence`.
        reports: number of places where a score is reported; 0 means that nothing of the above can be called clear.
        unanalysed: what could not be followed, and why.
    """

    target_keyed_reads: tuple[Evidence, ...] = ()
    unnormalised_mixtures: tuple[Evidence, ...] = ()
    target_gates: tuple[Evidence, ...] = ()
    leaks: tuple[Evidence, ...] = ()
    pseudo_experts: tuple[Evidence, ...] = ()
    oracle_choices: tuple[Evidence, ...] = ()
    byte_spreads: tuple[Evidence, ...] = ()
    slot_updates: tuple[Evidence, ...] = ()
    updates_before_score: tuple[Evidence, ...] = ()
    prequant_updates: tuple[Evidence, ...] = ()
    rescores: tuple[Evidence, ...] = ()
    val_calibrations: tuple[Evidence, ...] = ()
    warmups: tuple[Evidence, ...] = ()
    adaptations: tuple[Evidence, ...] = ()
    train_reads_at_eval: tuple[Evidence, ...] = ()
    foreign_scores: tuple[Evidence, ...] = ()
    prints: tuple[tuple[tuple[str, int], ...], ...] = ()
    reports: int = 0
    unanalysed: tuple[str, ...] = ()
    steps: int = field(default=0, compare=False)

    def found(self) -> Iterator[tuple[str, Evidence]]:
        """Every piece of evidence with the name of its field."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, tuple):
                for item in value:
                    if isinstance(item, Evidence):
                        yield entry.name, item
