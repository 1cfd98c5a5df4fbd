"""A reviewer's suppressions. They come from a file that the reviewer names, never from the audited folder."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Collection, Sequence

import msgspec

from auditor.report.document import RuleEntry, SuppressionEntry


class Suppression(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One suppression.

    Attributes:
        rule: the rule's id.
        reason: why; shown in every report.
        date: when it was decided.
        fingerprint: one finding only; None for whatever the rule says.
    """

    rule: str
    reason: str
    date: datetime.date
    fingerprint: str | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    suppress: tuple[Suppression, ...]


def parse_suppressions(text: str, rules: Collection[str]) -> tuple[Suppression, ...]:
    """Suppressions from the text of a TOML file with ``[[suppress]]`` tables.

    Raises:
        ValueError: not TOML, a table without rule, reason or date, or a rule that does not exist.
    """
    suppressions = msgspec.convert(tomllib.loads(text), _File).suppress
    for suppression in suppressions:
        if suppression.rule not in rules:
            raise ValueError(f"no rule {suppression.rule!r}")
        if not suppression.reason.strip():
            raise ValueError(f"the suppression of {suppression.rule} gives no reason")
    return suppressions


def suppress(
    entries: Sequence[RuleEntry], suppressions: Sequence[Suppression]
) -> tuple[tuple[RuleEntry, ...], tuple[SuppressionEntry, ...]]:
    """Mark what is suppressed; the findings stay in the report.

    A rule is suppressed when all its findings that count are; a suppression without fingerprint covers them all.
    """
    marked = []
    used: set[int] = set()
    for entry in entries:
        active = {finding.fingerprint for finding in entry.findings if not finding.dormant}
        covered: set[str] = set()
        reasons = []
        for position, suppression in enumerate(suppressions):
            if suppression.rule != entry.rule:
                continue
            if suppression.fingerprint is not None and suppression.fingerprint not in active:
                continue
            used.add(position)
            reasons.append(suppression.reason)
            covered |= active if suppression.fingerprint is None else {suppression.fingerprint}
        done = bool(reasons) and covered >= active
        marked.append(msgspec.structs.replace(entry, suppressed="; ".join(reasons) if done else None))
    shown = tuple(
        SuppressionEntry(s.rule, s.reason, s.date, s.fingerprint, position in used)
        for position, s in enumerate(suppressions)
    )
    return tuple(marked), shown
