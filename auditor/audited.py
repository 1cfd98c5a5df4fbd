"""What a rule looks at: a submission, the contest, what the analyses say; each computed once, when first asked."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from auditor.submission import Log, ProblemKind, Submission

if TYPE_CHECKING:
    from auditor.flow import FlowFacts
    from auditor.kernels import SubmittedKernel
    from rules.contest.profile import ContestProfile


@dataclass(frozen=True)
class Audited:
    """One submission under audit.

    Attributes:
        submission: the folder as data.
        all_flags: analyse branches that the documented launch leaves off, too.
        as_of: judge by the rulings of that day.
        changes: what the pull request changes, as (A, M, D or R, path in the repository); None when it is not known.
        folder: path of the folder in the repository, where ``changes`` are known.
        record: best score on the record track where the pull request left the main branch, bits per byte; None when it
            is not known.
    """

    submission: Submission
    all_flags: bool = False
    as_of: datetime.date | None = None
    changes: tuple[tuple[str, str], ...] | None = None
    folder: str = ""
    record: float | None = None

    @cached_property
    def contest(self) -> ContestProfile:
        """The contest's caps, dates and validation set."""
        from rules.contest.profile import load_profile

        return load_profile("parameter-golf")

    @cached_property
    def flow(self) -> FlowFacts:
        """What the data-flow analysis found."""
        from auditor.flow import analyse

        native = [spread for kernel in self.kernels for spread in kernel.facts.spreads]
        return analyse(self.submission, native, all_flags=self.all_flags)

    @cached_property
    def claimed(self) -> Audited | None:
        """The same as its own words describe it, where nothing documents how it was launched and they say more."""
        from auditor.unlaunched import as_claimed

        submission = as_claimed(self.submission)
        return None if submission is None else replace(self, submission=submission)

    @cached_property
    def kernels(self) -> list[SubmittedKernel]:
        """What the analysis of the C kernels found."""
        if not self.submission.kernels:
            return []  # most have none, and their parser takes a while to import
        from auditor.kernels import kernel_facts

        return kernel_facts(self.submission)

    @cached_property
    def unread(self) -> tuple[str, ...]:
        """Code that could not be read at all, so that nothing may be called absent from it."""
        submission = self.submission
        if not submission.sources:
            return ("there is no script",)
        hidden = {ProblemKind.UNPARSABLE, ProblemKind.UNDECODABLE_PACKER, ProblemKind.TOO_DEEP, ProblemKind.TOO_LARGE}
        code = {name for source in submission.sources for name in (source, source.partition("!")[0])}
        return tuple(f"{p.file}: {p.message}" for p in submission.problems if p.kind in hidden and p.file in code)

    @cached_property
    def runs(self) -> tuple[Log, ...]:
        """The logs of the submitted runs."""
        names = set(self.submission.launch.logs)
        return tuple(log for log in self.submission.logs if log.name in names)

    @cached_property
    def is_record(self) -> bool:
        """Whether it claims a place on the record track; unknown reads as a claim only where the folder says so."""
        folders = {part.lower() for part in self.submission.root.resolve().parts}
        if any("non_record" in part or "non-record" in part for part in folders):
            return False
        metadata = self.submission.metadata
        if metadata is not None and metadata.track is not None:
            return metadata.track == "record"
        return any(part.startswith("track_10min") for part in folders)

    @cached_property
    def has_budget(self) -> bool:
        """Whether the budgets of time apply: they do unless it says that it claims no record."""
        metadata = self.submission.metadata
        folders = {part.lower() for part in self.submission.root.resolve().parts}
        said = metadata is not None and metadata.track == "non-record"
        return not said and not any("non_record" in part or "non-record" in part for part in folders)
