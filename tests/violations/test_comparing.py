"""`evaluate --compare`, and single runs of published presets, as a reader of a claim runs them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest

from evaluator.cli import COMMANDS


def evaluate(*arguments: str | Path) -> int:
    """Run the command in this process, which has torch already; its exit code."""
    words = [str(argument) for argument in arguments]
    word = words[0] if words[0] in COMMANDS else ""
    code: int = COMMANDS[word].main(words[1:] if word else words, prog_name="evaluate", standalone_mode=False)
    return code


def no_model(contest: Path) -> tuple[str | Path, ...]:
    data = contest / "data"
    return "--model", "none", "--data", data, "--tokenizer", data / "tokenizer.model", "--contest", "mini"


def test_the_published_mixer_beside_its_legal_counterpart_and_a_replay(
    tiny_contest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a model, which is quick: the mixers speak alone."""
    page, picture, file = tmp_path / "page.html", tmp_path / "picture.svg", tmp_path / "found.json"
    outputs = ("--html", page, "--svg", picture, "--json", file)
    presets = ("pr779-as-published", "pr779-legal")
    assert evaluate("--compare", *presets, *no_model(tiny_contest), "--nproc", "1", *outputs) == 0
    shown = " ".join(capfd.readouterr().out.split())
    found: dict[str, Any] = json.loads(file.read_text())
    published, legal = found["rows"]
    assert published["claimed"] < legal["claimed"] == published["honest"] == legal["honest"]
    assert published["normalised"] > legal["honest"]
    assert published["sums"]["largest"] > 50
    assert legal["sums"]["largest"] == pytest.approx(1, abs=1e-9)
    assert list(published["breaks"]) == ["C2"]
    assert legal["breaks"] == {}

    card = found["cards"]["pr779-as-published"]
    assert (card["label"], card["model"], card["artifact"]) == ("practice", None, None)
    assert any("C2" in reason for reason in card["unofficial"])
    sums = card["normalisation"]["sums"]
    quarter = len(sums) // 4
    assert sum(sums[:quarter]) < sum(sums[-quarter:])  # it grows with the load of the table
    assert "pr779-as-published breaks C2" in shown
    assert "tokens of the stream per bucket" in shown
    for text in (page.read_text(), picture.read_text()):
        assert "pr779-as-published" in text
        assert text.count("<polyline") >= 4
        assert "<script" not in text
        assert "http" not in re.sub(r"http-equiv|http://www.w3.org/2000/svg", "", text)

    file.write_text(json.dumps(card))
    again = tmp_path / "again.json"
    assert evaluate(*no_model(tiny_contest), "--replay", file, "--json", again, "--html", page) == 0
    repeated = json.loads(again.read_text())
    assert (repeated["replay"], repeated["published"]) == ("confirmed", card["published"])
    shown = capfd.readouterr().out
    assert "BREAKS C2" in shown
    assert "not a score" in shown
    assert "breaks C2" in page.read_text()


def test_why_there_is_no_score_is_whole_in_a_narrow_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "40")
    assert evaluate("--compare", "pr779-legal", "absent.ptz", "--html", "page.html") == 2
    for text in (capfd.readouterr().out, re.sub("<[^>]+>", "", Path("page.html").read_text())):
        assert "pr779-legal has no score: there is no file absent.ptz" in " ".join(text.split())
        assert all(word in text for word in ("claimed", "honest", "divided", "median", "largest"))


def test_a_published_preset_is_never_official(tiny_contest: Path) -> None:
    with pytest.raises(click.UsageError, match="official"):
        evaluate(tiny_contest / "artifact.ptz", "--eval-preset", "pr779-as-published", "--official")


@pytest.mark.parametrize(
    "arguments",
    [("pr779-legal",), ("pr779-legal", "a.ptz", "b.ptz"), ("a.ptz",), ("pr779-legal", "a.ptz", "--model", "none")],
)
def test_a_comparison_of_what_is_not_there_is_a_usage_error(arguments: tuple[str, ...]) -> None:
    with pytest.raises(click.UsageError, match="evaluation presets"):
        evaluate("--compare", *arguments)
