"""Published systems stay apart: what is legal cannot reach them, and what they give is never a score."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import evaluator
from evaluator.mixer import mixer_names
from evaluator.refusal import Refused
from evaluator.settings import EvalPreset, eval_preset_names, load_eval_preset, settings_from

PACKAGE = Path(evaluator.__file__).parent
LEGAL = [name for name in eval_preset_names() if load_eval_preset(name).published is None]
PUBLISHED = [name for name in eval_preset_names() if name not in LEGAL]


def test_no_module_outside_imports_the_violations() -> None:
    for file in PACKAGE.rglob("*.py"):
        if "violations" in file.relative_to(PACKAGE).parts:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            source = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            assert not any("violations" in name for name in [*names, source]), file


def test_a_legal_evaluation_does_not_load_them() -> None:
    """Neither the worker nor any mixer that a preset can name."""
    code = (
        "import sys, importlib, pkgutil, evaluator.worker\n"
        "from evaluator.mixer import kinds\n"
        "[importlib.import_module(f'{kinds.__name__}.{m.name}') for m in pkgutil.iter_modules(kinds.__path__)]\n"
        "sys.exit(any(name.startswith('evaluator.violations') for name in sys.modules))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=120).returncode == 0


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_preset_scores_each_position_once_with_a_normalised_mixer(name: str) -> None:
    scoring = load_eval_preset(name).scoring
    assert scoring.windows.plan == "W-C"
    assert scoring.mixer.name in mixer_names()


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_preset_says_what_it_breaks_and_has_a_legal_counterpart(name: str) -> None:
    published = load_eval_preset(name).published
    assert published is not None
    assert published.breaks
    assert published.legal in LEGAL
    assert name == f"{published.system}-as-published"


def test_a_contest_cannot_ask_for_one() -> None:
    with pytest.raises(Refused, match="published"):
        settings_from({"published": {"system": "pr779"}}, "a contest")


def test_what_breaks_nothing_is_not_published(tmp_path: Path) -> None:
    file = tmp_path / "clean.toml"
    file.write_text('[scoring]\n[published]\nsystem = "pr779"\nlegal = "pr779-legal"\n[published.breaks]\n')
    with pytest.raises(Refused, match="breaks no condition"):
        load_eval_preset(str(file))


def test_a_preset_may_stand_on_another(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('base = "pr1477"\n[scoring]\nchunk = 65536\n[scoring.ttt]\nlr = 0.25\n')
    mine, base = load_eval_preset(str(file)).scoring, load_eval_preset("pr1477").scoring
    assert (mine.chunk, base.chunk) == (65_536, 32_768)
    assert mine.ttt is not None
    assert base.ttt is not None
    assert (mine.ttt.lr, mine.ttt.epochs, mine.windows) == (0.25, base.ttt.epochs, base.windows)


def test_presets_are_evaluation_presets() -> None:
    assert all(isinstance(load_eval_preset(name), EvalPreset) for name in [*LEGAL, *PUBLISHED])


def test_1477_is_published_as_it_is_legal() -> None:
    assert load_eval_preset("pr1477-as-published") == load_eval_preset("pr1477-legal") == load_eval_preset("pr1477")
