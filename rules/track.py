"""Submissions filed under the wrong track."""

from __future__ import annotations

import datetime

from auditor.audited import Audited
from auditor.findings import Condition, Finding, RuleResult, Severity
from auditor.rule import Example, Rule, Ruling
from rules._logs import log, metadata, runs

_UNLIMITED = 2.0
"""Budgets of training time from which a run is not a late stop but another kind of run."""


class Track(Rule):
    """Metadata, folder and training time against each other."""

    id = "track"
    title = "metadata, folder and training time name different tracks"
    condition = Condition.PROCESS
    severity = Severity.FORMAT
    rulings = (
        Ruling(
            "README", datetime.date(2026, 3, 18), "README", "records and unlimited compute have folders of their own"
        ),
    )
    what = "A folder of one track with the metadata of another, or a run of unlimited length on the record track."
    why = "The budgets apply to one track and not to the other."
    legal = "File the submission where its run belongs, and say the same in submission.json."
    bad = (
        Example(
            "an hour of training as a record",
            files={"submission.json": metadata(), **runs(log(train_seconds=3600.0))},
        ),
    )
    good = (
        Example("a record in ten minutes", files={"submission.json": metadata(), **runs(log())}),
        Example(
            "an hour, declared",
            files={
                "submission.json": metadata(track="non-record-unlimited-compute-16mb"),
                **runs(log(train_seconds=3600.0)),
            },
        ),
    )

    def check(self, audited: Audited) -> RuleResult:
        """Compare what is said in the three places."""
        metadata = audited.submission.metadata
        said = metadata.track if metadata else None
        parts = {part.lower() for part in audited.submission.root.resolve().parts}
        filed = "non-record" if any("non_record" in part for part in parts) else None
        filed = filed or ("record" if any(part.startswith("track_10min") for part in parts) else None)
        if said is None and filed is None:
            return self.not_applicable("neither metadata nor folder name a track")
        found = []
        if said and filed and said != filed and metadata is not None:
            found.append(
                Finding(f"submission.json says {said}, the folder lies in the track for {filed}", metadata.file, 0)
            )
        cap = audited.contest.caps.train_seconds
        for run in audited.runs:
            if (filed or said) == "record" and run.stop and run.stop[-1].value > _UNLIMITED * cap:
                stop = run.stop[-1]
                found.append(Finding(f"trained for {stop.value:,.0f} s on the record track", stop.file, stop.line))
        return self.judge(found)
