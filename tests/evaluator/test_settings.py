"""Scoring settings: presets, profiles, files of one's own, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluator.mixer import mixer_names
from evaluator.refusal import Refused, one_line
from evaluator.settings import eval_preset_names, load_eval_preset, settings_from
from rules.contest.profile import load_profile, profile_names


@pytest.mark.parametrize("name", eval_preset_names())
def test_each_preset_is_valid(name: str) -> None:
    settings = load_eval_preset(name).scoring
    assert settings.mixer.name in mixer_names()
    assert settings.chunk >= settings.windows.length


@pytest.mark.parametrize("name", profile_names())
def test_each_contest_scores_first_and_each_position_once(name: str) -> None:
    settings = settings_from(load_profile(name).scoring, name)
    assert settings.windows.plan == "W-C"
    assert settings.ttt is not None
    assert settings.mixer.name in mixer_names()


def test_pr1477_is_the_published_loop() -> None:
    settings = load_eval_preset("pr1477").scoring
    ttt = settings.ttt
    assert (settings.windows.length, settings.windows.stride, settings.chunk) == (2048, 64, 32_768)
    assert ttt is not None
    assert (ttt.optimizer, ttt.lr, ttt.momentum, ttt.epochs, ttt.step_sequences, ttt.clip) == (
        "sgd",
        0.005,
        0.9,
        3,
        16,
        1,
    )
    assert (ttt.schedule, ttt.adapt, ttt.freeze) == ("cosine", ("*",), ())


@pytest.mark.parametrize(
    "mapping",
    [
        {"chunks": 1},
        {"chunk": 100},
        {"chunk": 64},
        {"windows": {"plan": "W-Z"}},
        {"windows": {"length": 100, "stride": 64}},
        {"ttt": {"lr": 0}},
        {"ttt": {"epochs": 0}},
        {"ttt": {"clip": -1.0}},
        {"ttt": {"optimiser": "sgd"}},
        {"micro_batch": 0},
        {"mixer": "pitman_yor"},
    ],
)
def test_what_cannot_be_is_refused(mapping: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="here") as caught:
        settings_from(mapping, "here")
    assert caught.value.reason == "bad-settings"


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[scoring]\nchunk = 4096\n")
    assert load_eval_preset(str(file)).scoring.chunk == 4096
    file.write_text("chunk = 4096\n")
    with pytest.raises(ValueError, match=r"no table \[scoring\]"):
        load_eval_preset(str(file))
    file.write_text("= 3")
    with pytest.raises(ValueError, match="line 1"):
        load_eval_preset(str(file))
    with pytest.raises(ValueError, match="absent"):
        load_eval_preset(str(tmp_path / "absent.toml"))


def test_refusals_are_one_printable_line() -> None:
    assert one_line("a\x1b[31m\nb\u202e") == "a\\x1b[31m\\nb\\u202e"
    assert len(one_line("x" * 10_000)) == 500
