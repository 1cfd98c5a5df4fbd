from __future__ import annotations

import io

import pytest
from rich.console import Console

from mini_contest import progress
from mini_contest.progress import Stage


def test_without_a_terminal_a_stage_prints_heartbeats(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.0)
    with Stage("train", Console(file=io.StringIO())) as stage:
        stage.report(1, 4, "loss 5.000")
        stage.report(4, 4, "loss 4.000")
    first, beat, last = capsys.readouterr().err.splitlines()
    assert first == "mini contest: train ..."
    assert beat.startswith("mini contest: train: 1 of 4, about ")
    assert beat.endswith("s left, loss 5.000")
    assert last.startswith("mini contest: train: done in ")
    assert last.endswith("loss 4.000")


def test_heartbeats_are_rare(capsys: pytest.CaptureFixture[str]) -> None:
    with Stage("train", Console(file=io.StringIO())) as stage:
        for done in range(1, 100):
            stage.report(done, 100)
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_terminal_shows_a_bar_with_the_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    with Stage("train", Console(file=screen, force_terminal=True, width=120)) as stage:
        stage.report(1, 4, "loss 5.000")
    assert "train" in screen.getvalue()
    assert "1/4" in screen.getvalue()
    assert capsys.readouterr().err.startswith("mini contest: train: done in ")


def test_a_stage_that_fails_is_not_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), Stage("train", Console(file=io.StringIO())):
        raise RuntimeError
    assert "done" not in capsys.readouterr().err
