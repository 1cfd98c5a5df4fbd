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
ORDER = list(Status)


UNDECIDED = {
    "causal-dependence": (
        "the next token feeds the input",
        "a bias on the logits from the target",
        "a temperature chosen by the token after the target",
    ),
    "hint-gated-by-target": ("a Python mask over the target",),
    "ngram-target-in-key": ("a window that includes the target",),
    "oracle-min-nll": ("maximum of two probabilities", "an if on the two"),
    "byte-mixture-not-token-normalised": (
        "an even share for each byte",
        "np.repeat of the share",
        "mixed as probabilities",
    ),
    "ngram-not-normalised": (
        "a ratio of two hashed tables",
        "a Dirichlet form over hashed counts",
    ),
    "pseudo-probability-expert": ("entropy in logaddexp", "entropy written with sum and exp"),
}
"""Bad examples for which the data-flow analysis gives no facts yet; a strict xfail fails as soon as it does."""


def cases(which: str) -> list[object]:
    def marks(rule: Rule, example: Example) -> list[pytest.MarkDecorator]:
        waiting = pytest.mark.xfail(reason="the data-flow analysis gives no such facts yet", strict=True)
        return [waiting] if example.name in UNDECIDED.get(rule.id, ()) else []

    return [
        pytest.param(rule, example, id=f"{rule.id}-{example.name}", marks=marks(rule, example))
        for rule in RULES
        for example in getattr(rule, which)
    ]


def status_of(rule: Rule, example: Example, write: Writer) -> Status:
    audit = audit_folder(write(example), Options(), rules=[rule])
    return audit.rules[0].status


@pytest.mark.parametrize(("rule", "example"), cases("bad"))
def test_a_bad_example_is_found(rule: Rule, example: Example, write: Writer) -> None:
    assert ORDER.index(status_of(rule, example, write)) <= ORDER.index(example.expected)


@pytest.mark.parametrize(("rule", "example"), cases("good"))
def test_a_good_example_is_not_found(rule: Rule, example: Example, write: Writer) -> None:
    assert status_of(rule, example, write) in {Status.CLEAR, Status.NOT_APPLICABLE}


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.severity is Severity.VIOLATION], ids=lambda r: r.id)
def test_a_deciding_rule_has_three_examples_of_each(rule: Rule) -> None:
    assert len(rule.bad) >= 3
    assert len(rule.good) >= 3
