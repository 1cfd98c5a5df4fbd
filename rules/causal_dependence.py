"""Scores that depend on the token itself or on later ones."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.flow_rule import FlowRule
from auditor.probe.kinds import EXPERIMENT_ONLY
from auditor.rule import Example, Ruling
from rules._logs import log, metadata, runs
from rules._printed import unprinted
from rules._scripts import EVALUATE, scoring, script

if TYPE_CHECKING:
    from auditor.flow import Evidence


class CausalDependence(FlowRule):
    """The parent of the specific rules: what reaches a credited probability without being in the prefix."""

    id = "causal-dependence"
    title = "a score depends on the target or on later tokens"
    condition = Condition.CAUSALITY
    severity = Severity.VIOLATION
    rulings = (
        Ruling("README", datetime.date(2026, 3, 20), "README", "only tokens that were already evaluated may be used"),
        Ruling("#677", datetime.date(2026, 3, 27), "valerio-oai", "recommends the field guide's first condition"),
    )
    what = "Anything but the final gather of a full distribution that looks at the scored token or at later tokens."
    why = "A predictor that sees the answer, or what follows it, predicts nothing."
    legal = "Compute the whole distribution from the prefix, then read the target's entry."
    bad = (
        Example(
            "the next token feeds the input",
            script(evaluate=EVALUATE.replace("model(x)", "model(torch.roll(x, -1, dims=1))")),
        ),
        Example(
            "a bias on the logits from the target",
            script(
                evaluate=EVALUATE.replace(
                    "model(x).flatten(0, 1)", "(model(x) + 2.0 * F.one_hot(y, VOCAB)).flatten(0, 1)"
                )
            ),
        ),
        Example(
            "a temperature chosen by the token after the target",
            scoring("p = p_model ** (0.9 if t + 1 < len(tokens) and tokens[t + 1] < 100 else 1.0)"),
        ),
        Example(
            "a claim of 0.1 bits per byte that the code does not print",
            script().replace('print(f"', 'print(f"final_plain '),
            {"submission.json": metadata(val_bpb=0.1), **runs(log(0.169, 0.1, label="final_with_oracle"))},
            expected=Status.SUSPECTED,
        ),
        Example(
            "0.2 bits per byte at the last step of training",
            script(),
            runs(log(extra="step:6010/20000 val_loss:0.3339 val_bpb:0.1978 train_time:600067ms\n")),
            expected=Status.SUSPECTED,
        ),
    )
    good = (
        Example("the baseline", script()),
        Example(
            "a claim that the code prints",
            script(),
            {"submission.json": metadata(val_bpb=0.9), **runs(log(1.52, 0.9, label="final_int8_zlib_roundtrip_exact"))},
        ),
        Example(
            "a usual score at the last step of training",
            script(),
            runs(log(extra="step:6010/20000 val_loss:2.0512 val_bpb:1.2150 train_time:600067ms\n")),
        ),
        Example("a temperature chosen by the prefix", scoring("p = (probs ** 1.1 / (probs ** 1.1).sum())[tokens[t]]")),
        Example(
            "overlapping windows score only their new positions",
            script(
                evaluate=EVALUATE.replace(
                    "range(0, val_tokens.numel() - 1, SEQ)", "range(0, val_tokens.numel() - SEQ, 64)"
                )
                .replace('reduction="none")', 'reduction="none")[-64:]')
                .replace("base_bytes[y]", "base_bytes[y[:, -64:]]")
                .replace("y.numel()", "64")
            ),
        ),
    )

    subject = re.compile(r"")

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        return audited.flow.leaks

    def check(self, audited: Audited) -> RuleResult:
        """What the specific rules do not name; where the analysis is incomplete, only an experiment can tell.

        How a model mixes the positions of its inputs is not followed; that it sees the future shows in its scores.
        """
        result = super().check(audited)
        if result.status in {Status.CLEAR, Status.NOT_ANALYSABLE} and (doubts := list(_too_good(audited))):
            return self.judge(doubts, Status.SUSPECTED)
        if result.status is Status.NOT_ANALYSABLE and not audited.unread:
            return self.not_applicable(EXPERIMENT_ONLY)
        return result


def _too_good(audited: Audited) -> Iterator[Finding]:
    """Scores that no model of the size is known to come near: of a model alone, during training, or of unknown code."""
    floor = audited.contest.validation.plain_floor
    claimed = audited.submission.metadata.val_bpb if audited.submission.metadata is not None else None
    for finding in unprinted(audited) if claimed is not None and claimed < floor else ():
        message = (
            f"{claimed:g} bits per byte, which no model comes near alone, and {finding.message}: other code made it"
        )
        yield replace(finding, message=message)
    for run in audited.runs:
        score = run.validation
        if score is not None and score.val_bpb < floor:
            message = (
                f"{score.val_bpb:.4f} bits per byte during training, before anything can have adapted; "
                f"below {floor} a model has seen what it predicts, or bytes are miscounted"
            )
            yield Finding(message, score.file, score.line)
