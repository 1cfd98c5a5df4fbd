"""SARIF 2.1.0 for code scanning, inside GitHub's limits, with evidence paths as code flows."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from auditor.findings import Severity, Status, Verdict
from auditor.report.document import Audit, FindingEntry, PathStep, Place, RuleEntry

MOST_RESULTS = 5_000
"""GitHub shows 5,000 results of a run, refuses 25,001."""
MOST_STEPS = 1_000
"""GitHub shows 1,000 steps of a flow."""
_LEVELS = {
    Status.PROVED: "error",
    Status.TRACED: "error",
    Status.SUSPECTED: "warning",
    Status.NOT_ANALYSABLE: "warning",
}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def render(audit: Audit) -> bytes:
    """The report as SARIF."""
    return msgspec.json.format(msgspec.json.encode(document(audit)), indent=1) + b"\n"


def document(audit: Audit, *others: Audit, placed: bool = False) -> dict[str, Any]:
    """Reports as one SARIF log with one run, as GitHub wants it; rules that say nothing give no result.

    Args:
        audit: the report.
        others: reports of further submissions under the same rules.
        placed: name files by their paths in the repository, by the path that each report carries.
    """
    results = [
        result
        for report in (audit, *others)
        for rule in report.rules
        for result in _results(rule, f"{report.submission.path}/" if placed and report.submission.path else "")
    ]
    results.sort(key=lambda result: ("error", "warning", "note").index(result["level"]))
    verdicts = [report.verdict for report in (audit, *others)]
    worst = min(verdicts, key=list(Verdict).index)
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(audit)},
                "columnKind": "unicodeCodePoints",
                "results": results[:MOST_RESULTS],
                "properties": {"verdict": worst.value},
            }
        ],
    }


def _driver(audit: Audit) -> dict[str, Any]:
    return {
        "name": "audit",
        "rules": [
            {
                "id": rule.rule,
                "shortDescription": {"text": rule.title},
                "fullDescription": {"text": rule.why},
                "help": {"text": rule.legal},
                "defaultConfiguration": {"level": "error" if rule.severity is Severity.VIOLATION else "note"},
                "properties": {"tags": [rule.condition.value, *(condition.value for condition in rule.also)]},
            }
            for rule in audit.rules
        ],
    }


def _results(rule: RuleEntry, home: str) -> list[dict[str, Any]]:
    if rule.status not in _LEVELS:
        return []
    if rule.status is Status.NOT_ANALYSABLE:
        if rule.severity is not Severity.VIOLATION:
            return []
        return [{"ruleId": rule.rule, "level": "warning", "message": {"text": f"not analysable: {rule.reason}"}}]
    return [_result(rule, finding, home) for finding in rule.findings if not finding.dormant]


def _result(rule: RuleEntry, finding: FindingEntry, home: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": rule.rule,
        "level": _LEVELS[rule.status] if rule.severity is Severity.VIOLATION else "note",
        "message": {"text": finding.sentence},
        "locations": [{"physicalLocation": _location(finding, home)}],
        "partialFingerprints": {"evidence/v1": finding.fingerprint},
        "baselineState": "unchanged" if finding.known else "new",
        "properties": {"status": rule.status.value},
    }
    if rule.suppressed is not None:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": rule.suppressed}]
    if finding.path:
        steps = [_step(step, home) for step in finding.path[:MOST_STEPS]]
        result["codeFlows"] = [{"threadFlows": [{"locations": steps}]}]
    return result


def _step(step: PathStep, home: str) -> dict[str, Any]:
    return {"location": {"physicalLocation": _location(step, home), "message": {"text": step.why}}}


def _location(place: Place, home: str) -> dict[str, Any]:
    """A file as shipped: viewers can open no other."""
    location: dict[str, Any] = {
        "artifactLocation": {
            "uri": quote(home + place.shipped_file, errors="surrogateescape"),
            "uriBaseId": "%SRCROOT%",
        }
    }
    if place.shipped_line > 0:
        location["region"] = {"startLine": place.shipped_line}
    return location
