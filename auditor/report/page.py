"""What the HTML pages share: an environment in which nothing untrusted is markup, and the parts' data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from auditor.report import card
from auditor.report.document import Audit, FindingEntry, RuleEntry
from auditor.report.overlay import Window, windows
from rules.contest.profile import load_profile

Shown = tuple[RuleEntry, list[tuple[FindingEntry, tuple[Window, ...]]], int]
"""A rule, its findings with their source lines, and how many more there are."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Use of a budget as a log states it.

    Attributes:
        label, unit: in words.
        value: what was used; ``cap`` what is allowed.
        file: the log.
    """

    label: str
    unit: str
    value: float
    cap: float
    file: str

    @property
    def width(self) -> float:
        """Percent of the drawing that is used."""
        return 100.0 * self.value / max(self.value, self.cap * 1.04)

    @property
    def cap_width(self) -> float:
        """Percent of the drawing at which the cap stands."""
        return 100.0 * self.cap / max(self.value, self.cap * 1.04)


@cache
def environment(*packages: str) -> Environment:
    """Templates of this package, and of the folder ``templates`` of further ones.

    Every text that a template prints is escaped twice over: characters that could hide or reorder text become visible
    escapes, and what would be markup becomes entities.
    """
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package, "templates") for package in ("auditor.report", *packages)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else card.escape(value),
    )
    made.globals |= {"where": card.where, "no_statement": card.NO_STATEMENT}
    return made


def style() -> str:
    """The style sheet."""
    return (resources.files("auditor.report") / "templates" / "style.css").read_text(encoding="utf-8")


def bars(audit: Audit) -> tuple[Bar, ...]:
    """The budgets that a log speaks of, each by the log that used most."""
    caps = load_profile("parameter-golf").caps
    wanted = (
        ("artifact and code", "bytes", "total_bytes", caps.total_bytes),
        ("training", "seconds", "stop", caps.train_seconds),
        ("evaluation", "seconds", "total_eval_seconds", caps.eval_seconds),
    )
    found = []
    for label, unit, name, cap in wanted:
        values = [(float(facts[name][-1]), file) for file, facts in audit.facts.logs.items() if facts.get(name)]
        if values:
            value, file = max(values)
            found.append(Bar(label, unit, value, float(cap), file))
    return tuple(found)


def shown(rules: Sequence[RuleEntry], sources: Mapping[str, Sequence[str]], most: int) -> list[Shown]:
    """At most ``most`` findings of each rule with the lines around their evidence."""
    return [
        (
            rule,
            [(item, windows(item, sources)) for item in card.active(rule)[:most]],
            max(0, len(card.active(rule)) - most),
        )
        for rule in rules
    ]


def dormant(audit: Audit) -> Iterator[tuple[str, FindingEntry]]:
    """Findings that never count, with their rules."""
    return ((rule.rule, finding) for rule in audit.rules for finding in rule.findings if finding.dormant)


def context(audit: Audit, sources: Mapping[str, Sequence[str]], most: int) -> dict[str, Any]:
    """What ``report.html`` and the board's page of a submission print."""
    return {
        "audit": audit,
        "words": card.VERDICTS,
        "conditions": card.CONDITIONS,
        "rows": card.rows(audit),
        "bars": bars(audit),
        "found": shown(card.found(audit), sources, most),
        "notes": shown(card.notes(audit), sources, most),
        "undecided": card.undecided(audit),
        "dormant": list(dormant(audit))[:20],
        "experiments": card.experiments(audit.coverage.probe),
        "looked_at": card.looked_at(audit.coverage.static),
    }
