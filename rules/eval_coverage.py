"""A score over a part of the validation set."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from auditor.audited import Audited
from auditor.claim import SAME, is_about_a_score, is_in_a_claimed_score, is_withdrawn
from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.rule import Example, Rule, Ruling
from auditor.submission.arithmetic import implied_bytes, known_token_count
from auditor.submission.switches import code_defaults, effective
from rules._logs import log, metadata, runs
from rules._scripts import script

_WHOLE = 0.98
"""Share of the text from which a score counts as one over the whole split; a dropped tail is far smaller."""
_LIMIT = re.compile(r"^(?:PPM|NGRAM|EVAL|VAL|TTT)_(?:\w*_)?(?:SUBSET|LIMIT|MAX)_?(?:VAL_)?TOKENS$|^EVAL_TOKENS$")

_SUBSET = """
import os
subset = int(os.environ.get("PPM_SUBSET_TOKENS", "{tokens}"))
enabled = bool(int(os.environ.get("PPM_ENABLED", "1")))
"""

_DOWNLOADED = """

def evaluate(model, val_tokens, base_bytes):
    documents = load_dataset("some/web-text", split="train", streaming=True).take(500)
    loss_sum, byte_sum, count = 0.0, 0, 0
    for document in documents:
        tokens = torch.tensor(tokenizer.encode(document["text"]))
        with torch.no_grad():
            loss_sum += F.cross_entropy(model(tokens[None, :-1])[0], tokens[1:], reduction="sum").item()
        byte_sum += len(document["text"].encode("utf-8"))
        count += tokens.numel() - 1
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
"""


class EvalCoverage(Rule):
    """Bytes that the claimed score was summed over, by its own arithmetic, and switches that cut the stream."""

    id = "eval-coverage"
    title = "the score covers a part of the validation set"
    condition = Condition.BYTES
    severity = Severity.VIOLATION
    rulings = (
        Ruling(
            "README", datetime.date(2026, 3, 18), "README", "the score is over the first 50,000 documents, all of them"
        ),
        Ruling("#1902", datetime.date(2026, 4, 28), "cocohearts", "rows without evidence of the full split are out"),
    )
    what = "Claiming a score over some documents or tokens as the score over the validation split."
    why = "Documents differ in difficulty; a subset can be chosen, and no two subsets compare."
    legal = "Score every target once; only a tail shorter than one sequence may be dropped."
    bad = (
        Example(
            "the first 10,000 documents",
            files={**runs(log(2.0606, 1.2204, val_tokens=12_300_288)), "submission.json": metadata()},
        ),
        Example("a mixture scored on 5 M tokens", _SUBSET.format(tokens=5_000_000), expected=Status.SUSPECTED),
        Example(
            "documents that the script downloads itself",
            script(evaluate=_DOWNLOADED, helpers="\n\nfrom datasets import load_dataset\n"),
        ),
        Example(
            "a quarter of the stream in each of three runs",
            files={
                **runs(*[log(val_tokens=15_505_408, seed=seed) for seed in (1, 2, 3)]),
                "submission.json": metadata(),
            },
        ),
    )
    good = (
        Example("all of it", files={**runs(log()), "submission.json": metadata()}),
        Example("the split's own files", script()),
        Example("a switch that cuts nothing", _SUBSET.format(tokens=0)),
        Example(
            "all tokens of a known tokenizer, and a loss that is given per byte",
            files={**runs(log(0.8459, 1.2204)), "submission.json": metadata(val_loss=0.8459)},
        ),
        Example(
            "a smoke run that nobody claims",
            files={
                "smoke.log": log(3.1, 1.836, val_tokens=1_048_576),
                **runs(log()),
                "submission.json": metadata(),
            },
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """Compare the bytes that claimed scores imply with the text; look for other text, and switches that cut it."""
        found = [*_partial_scores(audited), *_foreign_scores(audited)]
        if found:
            return self.judge(found)
        return self.judge(_limits(audited), Status.SUSPECTED)


def _partial_scores(audited: Audited) -> Iterator[Finding]:
    metadata = audited.submission.metadata
    whole = audited.contest.validation.text_bytes
    if metadata is None or whole is None or not audited.is_record:
        return
    for run in audited.runs:
        counts = {fact.value for fact in run.val_tokens}
        if any(known_token_count(count, audited.contest.validation).tokenizer for count in counts):
            continue  # the stream was whole; a loss in another unit implies other bytes
        claimed = [s for s in run.scores if any(abs(s.val_bpb - claim) <= SAME for claim in metadata.claimed_bpb)]
        implied = implied_bytes(claimed[-1], counts.pop()) if len(counts) == 1 and claimed else None
        if implied is not None and implied.value + implied.error < _WHOLE * whole:
            share = implied.value / whole
            message = f"the claimed score is over {implied.value:,.0f} bytes, {share:.0%} of the validation text"
            yield Finding(message, implied.score.file, implied.score.line)


def _foreign_scores(audited: Audited) -> Iterator[Finding]:
    if is_withdrawn(audited):
        return
    for item in audited.flow.foreign_scores:
        if is_in_a_claimed_score(audited, item) and is_about_a_score(audited, item):
            yield Finding(item.message, item.file, item.line, item.path)


def _limits(audited: Audited) -> Iterator[Finding]:
    names = {name for name, _ in code_defaults(audited.submission) if _LIMIT.match(name)}
    whole = min((known.tokens for known in audited.contest.validation.tokenizations), default=0)
    for name in sorted(names):
        value = effective(audited.submission, name)
        if value is None or not 0 < value.number < 0.8 * whole:
            continue
        switch = effective(audited.submission, f"{name.partition('_')[0]}_ENABLED")
        dormant = switch is not None and not switch.is_on
        yield Finding(f"{name}={value.text} scores a part of the stream", value.file, value.line, dormant=dormant)
