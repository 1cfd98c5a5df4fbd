"""The terminal report: readable, and deaf to what a submission would have it do."""

from __future__ import annotations

from pathlib import Path

import click
from submissions import BY_ID, audit, honest, late, write

from auditor.report import terminal
from auditor.report.card import escape
from rules._logs import log, metadata


def test_the_card_comes_first(tmp_path: Path) -> None:
    lines = click.unstyle(terminal.render(audit(late(tmp_path / "a")))).splitlines()
    assert lines[0].startswith("VIOLATION")
    assert any(line.split()[:2] == ["time", "traced"] for line in lines[:14])
    assert any("C1 causality" in line for line in lines[:6])


def test_a_finding_shows_its_line(tmp_path: Path) -> None:
    text = click.unstyle(terminal.render(audit(late(tmp_path / "a"))))
    number = next(n for n, line in enumerate(log().splitlines(), 1) if line.startswith("stopping_early"))
    assert f"--> train_seed1337.log:{number}" in text
    assert f"{number} | stopping_early: wallclock_cap train_time:640000ms" in text
    assert "^^^^" in text


def test_nothing_found_is_not_called_legal(tmp_path: Path) -> None:
    text = click.unstyle(terminal.render(audit(honest(tmp_path / "a"))))
    assert text.startswith("NOTHING FOUND")
    assert "not a statement that the submission is legal" in text


def test_untrusted_text_cannot_move_the_cursor(tmp_path: Path) -> None:
    folder = late(tmp_path / "a")
    evil = "\x1b[2J\u202e\x07evil"
    write(folder, {"submission.json": metadata(name=evil, author=evil)})
    file = folder / "train_seed1337.log"
    file.write_text(file.read_text().replace("wallclock_cap", "wallclock_cap \x1b[31m\x9b2K"))
    text = click.unstyle(terminal.render(audit(folder)))
    assert not any(c in text for c in ("\x1b", "\x07", "\u202e", "\x9b"))
    assert "\\x1b[2J" in text


def test_escape_keeps_printable_text() -> None:
    assert escape("naïve — 語\t1") == "naïve — 語 1"
    assert escape("a\nb\udcff") == "a\\nb\\udcff"


def test_rules_that_could_not_decide_share_one_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", {"README.md": "# No script\n"})
    report = audit(folder, rules=[BY_ID["ngram-target-in-key"], BY_ID["ttt-before-score"]])
    text = click.unstyle(terminal.render(report))
    assert text.startswith("NEEDS REVIEW")
    assert "not-analysable[ngram-target-in-key, ttt-before-score]: there is no script" in text
