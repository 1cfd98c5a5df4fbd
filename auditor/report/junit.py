"""JUnit XML: one test case per rule, so that any CI server can show an audit.

A violation is a failure, an undecided rule that decides the verdict is an error, a rule that does not apply is skipped;
what never decides is the case's output.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, indent, tostring

from auditor.findings import Status
from auditor.report.card import CONDITIONS, FOUND, active, escape, where
from auditor.report.document import Audit, RuleEntry

_FAILURES = (Status.PROVED, Status.TRACED)
_ERRORS = (Status.SUSPECTED, Status.NOT_ANALYSABLE)
_MOST_FINDINGS = 20


def render(audit: Audit) -> bytes:
    """The report as XML, UTF-8."""
    suite = Element("testsuite", name="audit", tests=str(len(audit.rules)), time=f"{audit.timing.rules:.3f}")
    for rule in audit.rules:
        _case(suite, rule)
    for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(len(suite.findall(f"testcase/{kind}"))))
    root = Element("testsuites")
    root.append(suite)
    indent(root)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(suite: Element, rule: RuleEntry) -> None:
    classname = CONDITIONS[rule.condition].replace(" ", "-")
    case = SubElement(suite, "testcase", name=rule.rule, classname=f"audit.{classname}")
    message = f"{rule.status.value}: {rule.title}"
    if rule.decides and rule.status in _FAILURES:
        SubElement(case, "failure", type=rule.status.value, message=message).text = _text(rule)
    elif rule.decides and rule.status in _ERRORS:
        SubElement(case, "error", type=rule.status.value, message=message).text = _text(rule)
    elif rule.status is Status.NOT_APPLICABLE:
        SubElement(case, "skipped", message=escape(rule.reason))
    elif rule.status in FOUND or rule.suppressed is not None:
        SubElement(case, "system-out").text = _text(rule)


def _text(rule: RuleEntry) -> str:
    """The evidence, a line each."""
    lines = [escape(rule.reason)] if rule.reason else []
    if rule.suppressed is not None:
        lines.append(f"suppressed: {escape(rule.suppressed)}")
    for finding in active(rule)[:_MOST_FINDINGS]:
        lines.append(f"{where(finding)}: {escape(finding.sentence)}")
        lines += [f"  {number}. {where(step)}: {escape(step.why)}" for number, step in enumerate(finding.path, 1)]
    return "\n".join(lines)
