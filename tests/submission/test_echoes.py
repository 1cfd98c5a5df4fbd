"""What the script's own formats show of its settings in the logs."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import make
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.submission import read_submission
from auditor.submission.echoes import Echoes
from auditor.submission.launch import SettingSource
from auditor.submission.source import Source, UnparsableSourceError


def shown(expression: str, line: str) -> dict[str, str]:
    return dict(Echoes.of([Source("train_gpt.py", f"log({expression})\n")]).settings(line))


@pytest.mark.parametrize(
    ("expression", "line", "found"),
    [
        ('f"ttt: epochs={a.epochs} lr={a.lr}"', "ttt: epochs=5 lr=0.01", {"epochs": "5", "lr": "0.01"}),
        ('f"ttt: {len(x)} docs, epochs={a.epochs}" f" rank={self.a.rank}"', "ttt: 7 docs, epochs=5 rank=8",
         {"epochs": "5", "rank": "8"}),
        ('f"ttt: lr={a.lr:.2f}"', "ttt: lr=0.01", {}),
        ('f"ttt: {a.x}{a.y}"', "ttt: 12", {}),
        ('f"ttt: epochs={a.epochs} of"', "ttt: epochs=5", {}),
        ('f"{a.epochs} epochs"', "5 epochs", {}),
        ('f"ttt: {epochs}"', "ttt: 5", {}),
        ('f"ttt: on={a.on}"', "  ttt: on=True\r", {"on": "True"}),
    ],
)  # fmt: skip
def test_formats(expression: str, line: str, found: dict[str, str]) -> None:
    assert shown(expression, line) == found


def test_the_log_wins_over_the_command(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "train_gpt.py": 'class A:\n    epochs = 1\nprint(f"tuning for epochs={A.epochs}, as planned")\n',
        "README.md": "```\nEPOCHS=1 python train_gpt.py\n```\n",
        "run.log": "step:1/10 loss:3.0\ntuning for epochs=5, as planned\n",
    }
    setting = read_submission(make(tmp_path, files)).launch.find("EPOCHS", "epochs")
    assert setting is not None
    assert (setting.value, setting.source, setting.line) == ("5", SettingSource.LOG, 2)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(st.text(alphabet='f"{}ab.c:= \n', max_size=60), st.text(alphabet="abc:= ", max_size=40))
def test_no_text_breaks_it(source: str, line: str) -> None:
    try:
        echoes = Echoes.of([Source("train_gpt.py", source)])
    except UnparsableSourceError:
        return  # a reader names it as a problem and asks no further
    for name, value in echoes.settings(line):
        assert name
        assert value in line
