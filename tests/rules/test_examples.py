"""Every rule's examples through the real engine: the bad ones are found, the good ones are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.audit import audit_folder
from auditor.findings import Severity, Status
from auditor.options import Options
from auditor.rule import Example, Rule
from auditor.rule_packs import load_rules

Writer = Callable[[Example], Path]

RULES = load_rules()


def cases(which: str) -> list[object]:
    return [
        pytest.param(rule, example, id=f"{rule.id}-{example.name}")
        for rule in RULES
        for example in getattr(rule, which)
    ]


def status_of(rule: Rule, example: Example, write: Writer) -> Status:
    audit = audit_folder(write(example), Options(), rules=[rule])
    return audit.rules[0].status


@pytest.mark.parametrize(("rule", "example"), cases("bad"))
def test_a_bad_example_is_found(rule: Rule, example: Example, write: Writer) -> None:
    assert status_of(rule, example, write) is example.expected


@pytest.mark.parametrize(("rule", "example"), cases("good"))
def test_a_good_example_is_not_found(rule: Rule, example: Example, write: Writer) -> None:
    assert status_of(rule, example, write) in {Status.CLEAR, Status.NOT_APPLICABLE}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.severity is Severity.VIOLATION], ids=lambda r: r.id)
def test_a_deciding_rule_has_three_examples_of_each(rule: Rule) -> None:
    assert len(rule.bad) >= 3
    assert len(rule.good) >= 3
