"""The board: what its files hold, and how it behaves in a browser that is offline."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from documents import HOSTILE, RULES, document, entry, fact
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from auditor.board.build import build
from auditor.board.command import board
from auditor.findings import Condition, Status, Verdict
from auditor.rule_packs import load_rules
from auditor.sweep.messages import Answer
from auditor.sweep.plan import Submitted
from auditor.sweep.repository import Change, Ref
from auditor.sweep.store import Store

COUNT = 230
LATE = entry("train-wallclock", Status.TRACED, fact("trained for 640 s"), condition=Condition.TIME)
LONG = entry("byte-mixture-not-token-normalised", Status.NOT_ANALYSABLE, reason="cannot follow")
DOUBT = entry("ngram-target-in-key", Status.NOT_ANALYSABLE, reason="cannot follow")
QUIET = entry("ngram-target-in-key", Status.CLEAR)


def _answer(number: int) -> Answer:
    """Every third a violation, every third in doubt; 5 failed, 6 is hostile, 8 a copy of 7, 9 claims nothing."""
    key = "7" if number == 8 else str(number)
    if number == 5:
        return Answer(key, "failed", f"RuntimeError: {HOSTILE}")
    verdict, rules = (
        (Verdict.VIOLATION, (LATE,)),
        (Verdict.NEEDS_REVIEW, (DOUBT, LONG)),
        (Verdict.CLEAR, (QUIET,)),
    )[number % 3]
    audit = document(verdict, rules, name=f"Model {number}")
    if number == 6:
        audit = document(Verdict.VIOLATION, RULES, name=HOSTILE)
    claim = None if number == 9 else 1.0 + number / 1000
    audit = msgspec.structs.replace(audit, submission=msgspec.structs.replace(audit.submission, val_bpb=claim))
    return Answer(key, "audited", audit=audit, code=key, shape=key, launch="l", absent=(HOSTILE,), seconds=1.0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    with Store(folder / "results.sqlite") as store:
        for number in range(1, COUNT + 1):
            answer = _answer(number)
            ref = Ref(f"refs/pull/{number}/head", "c" * 40, 1_775_000_000 + number * 3600)
            home = f"records/track_10min_16mb/{HOSTILE if number == 6 else number}"
            changes = (Change("A", f"{home}/train_gpt.py"), Change("M", "README.md"))
            store.put_submission(Submitted(ref, number, home, (), changes, None), answer.key)
            if number != 8:
                store.put_answer("d", answer)
        build(store, load_rules(), folder / "site", "https://code.example/contest")
    return folder / "site"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium: install it or name it in CHROMIUM")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def tab(browser: Browser, site: Path) -> Iterator[Page]:
    """The front page, offline; the test fails on any message of the console, error or dialog."""
    context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
    page = context.new_page()
    said: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", dismiss)
    page.goto((site / "index.html").as_uri())
    yield page
    context.close()
    assert said == []


def _status(tab: Page) -> str:
    return tab.locator("#status").inner_text()


def _first(tab: Page) -> str:
    return tab.locator("#table tbody tr td").first.inner_text()


def test_filters_live_in_the_address_bar(tab: Page) -> None:
    assert _status(tab) == "230 of 230 submissions"
    tab.select_option("[name=verdict]", "violation")
    assert _status(tab) == "76 of 230 submissions"
    tab.select_option("[name=rule]", "train-wallclock")
    assert _status(tab) == "75 of 230 submissions"
    assert tab.url.endswith("#verdict=violation&rule=train-wallclock")
    tab.reload()
    assert _status(tab) == "75 of 230 submissions"
    assert tab.input_value("[name=rule]") == "train-wallclock"
    tab.go_back()
    assert _status(tab) == "76 of 230 submissions"
    tab.go_back()
    assert _status(tab) == "230 of 230 submissions"
    assert tab.input_value("[name=verdict]") == ""
    tab.go_forward()
    assert _status(tab) == "76 of 230 submissions"
    tab.get_by_role("button", name="Clear").click()
    assert _status(tab) == "230 of 230 submissions"


def test_every_filter_narrows(tab: Page) -> None:
    for name, value, count in (
        ("condition", "time", 76),
        ("grade", "not-analysable", 78),
        ("track", "record", 230),
        ("copies", "hide", 229),
        ("verdict", "not-judged", 1),
    ):
        tab.select_option(f"[name={name}]", value)
        assert _status(tab).startswith(f"{count} of 230"), name
        tab.go_back()


def test_search_sort_and_pages(tab: Page) -> None:
    assert _first(tab) == "#230"
    tab.get_by_role("button", name="Claimed bpb").click()
    assert _first(tab) == "#1"
    assert tab.locator("th[aria-sort]").inner_text().startswith("Claimed bpb")
    tab.get_by_role("button", name="Claimed bpb").click()
    assert _first(tab) == "#230"
    tab.locator("#after").click()
    tab.locator("#after").click()
    assert tab.locator("#page").inner_text() == "page 3 of 3"
    assert tab.locator("#table tbody tr").count() == 30
    assert tab.locator("#table tbody tr td").nth(8 * 29).inner_text() in {"#5", "#9"}  # no claim comes last
    tab.go_back()
    assert tab.locator("#page").inner_text() == "page 2 of 3"
    tab.fill("[name=q]", "model 22")
    assert _status(tab) == "12 of 230 submissions"
    tab.fill("[name=q]", "#229")
    assert _status(tab) == "1 of 230 submission"
    tab.go_back()
    assert tab.locator("#page").inner_text() == "page 2 of 3"


def test_it_works_from_the_keyboard(tab: Page) -> None:
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "Submissions"
    tab.keyboard.press("/")
    tab.keyboard.type("#42")
    assert _status(tab) == "1 of 230 submission"
    tab.get_by_role("button", name="Date").focus()
    tab.keyboard.press("Enter")
    assert "sort=date" in tab.url
    tab.locator("#table tbody a").first.focus()
    tab.keyboard.press("Enter")
    tab.wait_for_url("**/s/42.html")
    tab.go_back()
    assert _status(tab) == "1 of 230 submission"


def test_an_odd_address_is_harmless(tab: Page) -> None:
    for odd in ("#verdict=x&rule=%3Cscript%3E&sort=__proto__&page=-3", "#q=%E0%A4%A&sort=constructor", "#page=999"):
        tab.goto(tab.url.partition("#")[0] + odd)
        assert tab.locator("#table tbody tr").count() >= 0
        assert tab.locator("script").count() == 2


def test_the_plot_follows_the_filters(tab: Page) -> None:
    assert tab.locator("#plot circle").count() == 228
    tab.select_option("[name=verdict]", "clear")
    assert tab.locator("#plot circle").count() == tab.locator("#plot circle.clear").count() == 75
    tab.select_option("[name=verdict]", "not-judged")
    assert tab.locator("#plot circle").count() == 0


def test_hostile_text_stays_text(tab: Page, site: Path) -> None:
    tab.fill("[name=q]", "onerror")
    assert tab.locator("#table tbody tr").count() == 1
    assert "<img src=x onerror=alert(1)>" in tab.locator("#table").inner_text()
    for path in ("s/6.html", "s/5.html", "rules/train-wallclock.html", "leaderboard.html", "rules/index.html"):
        tab.goto((site / path).as_uri())
        assert tab.locator("img, script, iframe").count() == 0
    tab.goto((site / "s/6.html").as_uri())
    assert "</script><img src=x onerror=alert(1)>" in tab.locator("main").inner_text()


def test_a_phone_shows_it_without_scrolling_sideways(browser: Browser, site: Path) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    for path in ("index.html", "leaderboard.html", "s/6.html", "s/4.html", "rules/train-wallclock.html"):
        page.goto((site / path).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    context.close()


# Polling for it would evaluate a string in the page, which the page's own policy forbids.
FIRST_PAINT = """new Promise(done => new PerformanceObserver(list => {
    for (const entry of list.getEntriesByName("first-contentful-paint")) done(entry.startTime)
}).observe({type: "paint", buffered: true}))"""


def test_the_first_paint_is_quick(browser: Browser, site: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    times = [5000.0]
    for _ in range(6):  # other tests may have the processor: the quickest counts
        page.goto((site / "index.html").as_uri())
        times.append(page.evaluate(FIRST_PAINT))
        if times[-1] < 1000:
            break
    context.close()
    assert min(times) < 1000


def test_the_script_data_cannot_end_their_element(site: Path) -> None:
    text = (site / "data.js").read_text(encoding="utf-8")
    assert text.isascii()
    assert "<" not in text
    data = json.loads(text.partition(" = ")[2].rstrip(";\n"))
    rows = [dict(zip(data["fields"], row, strict=True)) for row in data["rows"]]
    assert len(rows) == COUNT
    six = next(row for row in rows if row["pull"] == 6)
    assert "<img" in six["name"]
    assert "\u202e" not in six["name"]
    assert [row["pull"] for row in rows if row["copy"]] == [8]


def test_pages_say_who_inherits_and_who_is_hit(site: Path) -> None:
    parent = (site / "s" / "7.html").read_text(encoding="utf-8")
    assert '<a href="8.html">#8</a>' in parent
    assert "inherits the verdict" in parent
    heir = (site / "s" / "8.html").read_text(encoding="utf-8")
    assert 'Same files as <a href="7.html">#7</a>' in heir
    assert 'href="https://code.example/contest/pull/8"' in heir
    assert "1 file outside of this folder" in heir
    rule = (site / "rules" / "train-wallclock.html").read_text(encoding="utf-8")
    assert rule.count('href="../s/') == 75
    assert "failed: RuntimeError" in (site / "s" / "5.html").read_text(encoding="utf-8")


def test_the_honest_leaderboard_holds_only_those_where_nothing_was_found(site: Path) -> None:
    claimed, honest = re.findall(r"(?s)<section>.*?</section>", (site / "leaderboard.html").read_text(encoding="utf-8"))
    assert [int(number) for number in re.findall(r'href="s/(\d+).html', claimed)][:6] == [1, 2, 3, 4, 6, 7]
    assert [int(number) for number in re.findall(r'href="s/(\d+).html', honest)][:4] == [2, 11, 14, 17]


def test_a_board_of_two_thousand_fits(site: Path) -> None:
    pages = [path.stat().st_size for path in (site / "s").iterdir()]
    rest = sum(path.stat().st_size for path in site.rglob("*") if path.is_file()) - sum(pages)
    assert 2000 * sum(pages) / len(pages) + 2000 / COUNT * rest < 30e6


def test_usage_errors(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    file.write_text("no database, but long enough to be taken for one " * 20)
    out = ["--out", str(tmp_path / "site")]
    assert "not a database" in CliRunner().invoke(board, ["--db", str(file), *out]).output
    foreign = tmp_path / "foreign.sqlite"
    with contextlib.closing(sqlite3.connect(foreign)) as database:
        database.execute("CREATE TABLE mine (x)")
    before = foreign.read_bytes()
    assert "not a database that a sweep wrote" in CliRunner().invoke(board, ["--db", str(foreign), *out]).output
    assert foreign.read_bytes() == before
    assert "https" in CliRunner().invoke(board, ["--db", str(file), *out, "--url", "javascript:alert(1)"]).output
