"""Claims that the logs do not bear out."""

from __future__ import annotations

import datetime
import statistics
from collections.abc import Iterator

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Example, Rule, Ruling
from auditor.score_names import claimed_names
from rules._logs import log, metadata, runs
from rules._printed import unprinted

_SAME = 6e-4
"""Bits per byte; people quote three or four digits."""


class LogIntegrity(Rule):
    """The headline among the printed scores or their mean; what the log embeds and prints against the script."""

    id = "log-integrity"
    title = "the claim or the script is not the one of the logs"
    condition = Condition.PROCESS
    severity = Severity.REVIEW
    rulings = (
        Ruling("README", datetime.date(2026, 3, 18), "README", "logs show the runs that the score comes from"),
        Ruling(
            "#86", datetime.date(2026, 5, 4), "cocohearts", "a stale log under another model's claim is no evidence"
        ),
    )
    what = "A headline score that no log prints and no mean gives, or logs that another script printed."
    why = "A log is the only evidence of a run that nobody can repeat cheaply."
    legal = "Ship the logs of the very runs, made by the shipped script."
    bad = (
        Example(
            "the headline is better than every log", files={"submission.json": metadata(val_bpb=1.18), **runs(log())}
        ),
        Example(
            "the log embeds another script",
            "import os\n\n\ndef main():\n    return 1\n\n\nmain()\n",
            {
                "train.log": "="
                * 100
                + "\nimport os\nimport sys\nfrom a import b\n\n\ndef other():\n    return 2\n\n\n"
                "class C:\n    pass\n\n\n@other\ndef more():\n    return 3\n" + "=" * 100 + "\n" + log(),
            },
        ),
        Example(
            "no code prints the line of the claimed score",
            "import torch\n\n\ndef main(score):\n    print(f'step:1 val_bpb:{score:.4f}')\n\n\nmain(1.0)\n",
            {"submission.json": metadata(), **runs(log(label="final_mixed_with_counts"))},
        ),
    )
    good = (
        Example(
            "the code puts the label in when it prints",
            "import torch\n\n\ndef main(name, score):\n    print(f'{name} val_bpb:{score:.4f}')\n\n\nmain('a', 1.0)\n",
            {"submission.json": metadata(), **runs(log(label="final_mixed_with_counts"))},
        ),
        Example("the log prints it", files={"submission.json": metadata(), **runs(log())}),
        Example(
            "the mean of lines of another kind",
            files={
                "submission.json": metadata(val_bpb=0.9016),
                **runs(*(log() + f"ppm_mix bytes=100 mix_bpb={each}\n" for each in ("0.901916", "0.901284"))),
            },
        ),
        Example(
            "the mean of three",
            files={
                "submission.json": metadata(val_bpb=1.2205),
                **runs(log(val_bpb=1.2200), log(val_bpb=1.2205), log(val_bpb=1.2210)),
            },
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """Both comparisons; a submission without logs is another rule's business."""
        logs = audited.submission.logs
        if not any(run.scores for run in logs):
            return self.not_applicable("no log prints a score")
        found = [*_headline(audited), *unprinted(audited)]
        dumps = [run for run in logs if run.dump is not None]
        if dumps and not any(run.dump and run.dump.matches for run in dumps):
            first = dumps[0]
            message = (
                f"the script embedded in {'each of' if len(dumps) > 1 else ''} {len(dumps)} logs is not the shipped one"
            )
            found.append(Finding(" ".join(message.split()), first.name, first.dump.first_line if first.dump else 0))
        return self.judge(found)


def _headline(audited: Audited) -> Iterator[Finding]:
    metadata = audited.submission.metadata
    if metadata is None or metadata.val_bpb is None or metadata.retracted:
        return
    logs = audited.submission.logs
    printed = {score.val_bpb for run in logs for score in run.scores}
    by_label: dict[str, list[float]] = {}
    for run in logs:
        for label, value in {score.label: score.val_bpb for score in run.scores}.items():
            by_label.setdefault(label, []).append(value)
    means = {statistics.fmean(values) for values in by_label.values()}
    means |= (
        {statistics.fmean([r.val_bpb for r in metadata.seed_results if r.val_bpb])}
        if any(r.val_bpb for r in metadata.seed_results)
        and all(any(abs(r.val_bpb - p) <= _SAME for p in printed) for r in metadata.seed_results if r.val_bpb)
        else set()
    )
    if any(abs(metadata.val_bpb - value) <= _SAME for value in printed | means) or claimed_names(audited):
        return
    best = min(printed)
    message = f"val_bpb {metadata.val_bpb:g} is in no log and is no mean of them; the best printed score is {best:g}"
    yield Finding(message, metadata.file, 0)
