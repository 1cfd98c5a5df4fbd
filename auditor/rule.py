"""What a rule is: one class in one file, with the ruling it rests on and the examples that test it."""

from __future__ import annotations

import datetime
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from auditor.findings import Condition, Finding, RuleResult, Severity, Status

if TYPE_CHECKING:
    from auditor.audited import Audited


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a rule rests on.

    Attributes:
        thread: where it was said: ``"README"``, or a thread of the contest's repository by number, such as ``"#779"``.
        date: the day; audits as of an earlier day do not apply the rule.
        who: who said it: a maintainer's handle, ``"README"``, or ``"community"``.
        says: what it says, in our words.
    """

    thread: str
    date: datetime.date
    who: str
    says: str

    def __str__(self) -> str:
        """Such as ``valerio-oai in #779, 2026-03-27: ...``."""
        return f"{self.who} in {self.thread}, {self.date}: {self.says}"


@dataclass(frozen=True, slots=True)
class Example:
    """A small submission that a rule must find, or must not.

    Attributes:
        name: what it shows.
        code: text of ``train_gpt.py``; empty for an example without code.
        files: further files by name.
        expected: for a bad example, the weakest status that counts as found.
    """

    name: str
    code: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    expected: Status = Status.TRACED

    @property
    def tree(self) -> dict[str, str]:
        """Every file of the submission by name."""
        return {**({"train_gpt.py": self.code} if self.code else {}), **self.files}


class Rule(ABC):
    """Base of every rule; a rule pack is a package of modules that define subclasses.

    Attributes:
        id: its name in reports, such as ``"ngram-target-in-key"``.
        title: one line.
        condition: what it protects; ``also`` further conditions that the same fact breaks.
        severity: V, R or F (see :class:`~auditor.findings.Severity`).
        contested: the ruling is disputed.
        rulings: what it rests on, the earliest first.
        what: what is forbidden.
        why: why it makes a score dishonest, or a submission hard to check.
        legal: how to do it legally.
        bad, good: examples that it must find, and must not.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    condition: ClassVar[Condition]
    also: ClassVar[tuple[Condition, ...]] = ()
    severity: ClassVar[Severity]
    contested: ClassVar[bool] = False
    rulings: ClassVar[tuple[Ruling, ...]]
    what: ClassVar[str]
    why: ClassVar[str]
    legal: ClassVar[str]
    bad: ClassVar[tuple[Example, ...]] = ()
    good: ClassVar[tuple[Example, ...]] = ()

    @abstractmethod
    def check(self, audited: Audited) -> RuleResult:
        """Judge one submission."""

    @property
    def since(self) -> datetime.date:
        """The day from which the rule applies."""
        return min(ruling.date for ruling in self.rulings)

    def result(
        self,
        status: Status,
        reason: str = "",
        findings: Iterable[Finding] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> RuleResult:
        """A result of this rule."""
        return RuleResult(
            rule=self.id,
            condition=self.condition,
            severity=self.severity,
            status=status,
            reason=reason,
            findings=tuple(findings),
            also=self.also,
            contested=self.contested,
            facts=facts or {},
        )

    def judge(
        self, found: Iterable[Finding], status: Status = Status.TRACED, facts: Mapping[str, Any] | None = None
    ) -> RuleResult:
        """``status`` if there is a finding that is not dormant, else clear."""
        findings = tuple(found)
        active = any(not finding.dormant for finding in findings)
        return self.result(status if active else Status.CLEAR, findings=findings, facts=facts)

    def unless_unread(self, audited: Audited, result: RuleResult) -> RuleResult:
        """The result of a rule on code; what could not be read is never clear."""
        if result.status is Status.CLEAR and audited.unread:
            return self.result(Status.NOT_ANALYSABLE, "; ".join(audited.unread[:3]), result.findings)
        return result

    def not_applicable(self, reason: str) -> RuleResult:
        """What the rule speaks of does not occur."""
        return self.result(Status.NOT_APPLICABLE, reason)
