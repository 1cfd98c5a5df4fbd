"""The formats for people and for CI servers: golden files, and text that must stay text."""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest
from documents import HOSTILE, document, entry, fact, finding
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.findings import Severity, Status, Verdict
from auditor.report import formats, github, html, junit, markdown
from auditor.report.overlay import windows

GOLDEN = Path(__file__).parent / "golden"
SOURCE = {"train_gpt.py!inner": [f"line {number} <i>" for number in range(1, 41)]}
TEXTS = st.text("`|:<>&%@'\"\r\n\x00\x1b\u202e\ud800 abz語\\", max_size=40)
hostile = settings(derandomize=True, max_examples=60, deadline=None)


@pytest.mark.parametrize("style", ["junit.xml", "markdown.md", "github.txt", "html.html"])
def test_golden(style: str) -> None:
    """The reports as they are; write them anew with UPDATE_GOLDEN=1 and read the difference."""
    name = style.partition(".")[0]
    data = html.render(document(), SOURCE).encode() if name == "html" else formats.render(document(), name)
    path = GOLDEN / style
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(data)
    assert data.decode() == path.read_text(encoding="utf-8")


def test_junit_counts() -> None:
    suite = ET.fromstring(junit.render(document())).find("testsuite")
    assert suite is not None
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "9", "failures": "3", "errors": "2", "skipped": "1"}


@hostile
@given(TEXTS)
def test_junit_is_xml_whatever_it_holds(text: str) -> None:
    rules = (entry("r", Status.TRACED, fact(text)), entry("n", Status.NOT_APPLICABLE, reason=text))
    root = ET.fromstring(junit.render(document(rules=rules, name=text)))
    assert len(list(root.iter("testcase"))) == 2


@hostile
@given(TEXTS, TEXTS)
def test_nothing_begins_a_workflow_command(message: str, file: str) -> None:
    found = finding(message)
    text = github.render(document(rules=(entry("r", Status.TRACED, found),)), folder=file)
    assert [line for line in text.splitlines() if not line.startswith("::error file=")] == []
    [line] = text.splitlines()
    properties = line[len("::error ") :].partition("::")[0]
    assert re.fullmatch(r"file=[^,:]*,line=1,title=r \(traced\)", properties)


def test_annotations_are_the_weightiest_and_few() -> None:
    notes = tuple(entry(f"n{i}", Status.TRACED, fact("n"), severity=Severity.FORMAT) for i in range(15))
    broken = tuple(entry(f"v{i}", Status.TRACED, fact("v")) for i in range(15))
    lines = github.render(document(rules=(*notes, *broken))).splitlines()
    assert [line.split()[0] for line in lines] == ["::error"] * github.MOST + ["::notice"] * github.MOST
    assert "excused" not in github.render(document())


@hostile
@given(TEXTS)
def test_code_spans_hold_their_text(text: str) -> None:
    span = markdown.code(text)
    ticks = re.match("`+", span)
    assert ticks is not None
    inside = span[len(ticks[0]) : -len(ticks[0])]
    assert span.endswith(ticks[0])
    assert ticks[0] not in re.findall("`+", inside)
    assert "\n" not in span


def test_markdown_keeps_hostile_text_in_code() -> None:
    text = markdown.render(document())
    fences = re.sub(r"(?ms)^(`{3,})text$.*?^\1$", "", text)
    spans = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", fences)
    for piece in ("<img", "</script>", "@everyone", "::error"):
        assert piece in text
        assert piece not in spans


def test_long_reports_are_cut_for_a_comment() -> None:
    rules = tuple(entry(f"r{i}", Status.TRACED, fact("x" * 3000)) for i in range(60))
    text = markdown.render(document(rules=rules))
    assert len(text) < 65_536
    assert text.endswith("The rest is in the full report.\n")


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [name for name, _ in attrs]


def _parse(text: str) -> _Elements:
    parser = _Elements()
    parser.feed(text)
    return parser


@hostile
@given(TEXTS)
def test_no_text_becomes_an_element(text: str) -> None:
    def page(word: str) -> str:
        rules = (entry("r", Status.TRACED, finding(word), fact(word)), entry("n", Status.NOT_ANALYSABLE, reason=word))
        return html.render(document(rules=rules, name=word), {"train_gpt.py!inner": [word] * 40})

    plain, odd = _parse(page("plain")), _parse(page(text))
    assert odd.elements == plain.elements
    assert odd.attributes == plain.attributes


def test_html_is_self_contained_and_hides_nothing() -> None:
    text = html.render(document(), SOURCE)
    found = _parse(text)
    assert not {"script", "img", "link", "iframe", "b3"} & set(found.elements)
    assert not any(name.startswith("on") or name in {"src", "srcset"} for name in found.attributes)
    assert "default-src 'none'" in text
    assert "\u202e" not in text
    assert "\\u202e" in text
    assert HOSTILE not in text
    assert 'class="used over"' in text  # 640 of 600 seconds


def test_verdicts_without_findings_say_what_they_are() -> None:
    clear = document(Verdict.CLEAR, (entry("other", Status.CLEAR),))
    for style in ("markdown", "html", "terminal"):
        assert "not a statement that the submission is legal" in formats.render(clear, style).decode()
    assert formats.render(clear, "github") == b""


def test_evidence_lies_over_its_source() -> None:
    near, far = windows(finding(), SOURCE)
    assert [row.number for row in near.rows] == list(range(1, 8))
    assert {row.number: [mark for mark, _ in row.marks] for row in near.rows if row.marks} == {2: [1], 4: [2]}
    assert [row.number for row in far.rows] == list(range(27, 34))
    alone = windows(finding(), {})
    assert [[row.text for row in window.rows] for window in alone] == [
        ["x, y = batch(val)", "key = hash(x, y)"],
        ["p = table[key]"],
    ]
