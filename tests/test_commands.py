"""Exit codes of the installed scripts: what a shell or a CI job relies on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(sys.executable).parent


def run(*command: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, COLUMNS="100")
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    return subprocess.run(
        [str(SCRIPTS / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate"],
        ["evaluate", "a.ptz", "b.ptz"],
        ["evaluate", "--no-such-option", "a.ptz"],
        ["evaluate", "a.ptz", "--eval-preset", "no-such-preset"],
        ["evaluate", "a.ptz", "--nproc", "0"],
        ["evaluate", "a.ptz", "--nnodes", "2"],
        ["evaluate", "a.ptz", "--official", "--eval-preset", "sliding"],
        ["evaluate", "a.ptz", "--official", "--time-limit", "5"],
        ["evaluate", "a.ptz", "--json", "no/such/folder/card.json"],
        ["evaluate", "a.ptz", "--replay", "no-such-card.json"],
        ["evaluate", "pack"],
        ["evaluate", "pack", "checkpoint.pt", "--recipe", "no-such-recipe", "--preset", "mini"],
    ],
)
def test_usage_errors_end_with_64(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 64
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("Usage: evaluate")


@pytest.mark.parametrize("command", ["evaluate", "audit"])
def test_an_import_failure_ends_with_70(command: str, tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise ImportError('broken installation')\n")
    result = run(command, "anything", path=tmp_path)
    assert result.returncode == 70
    assert "broken installation" in result.stderr
    assert "not a verdict" in result.stderr


def test_an_uncaught_exception_ends_with_70(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import evaluator.evaluation as e\ndef broken(*_): raise RuntimeError('bug')\ne.evaluate = broken\n"
    )
    result = run("evaluate", "a.ptz", path=tmp_path)
    assert result.returncode == 70
    assert "RuntimeError: bug" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["audit"], ["audit", "no/such/folder"], ["audit", ".", "--select", "no-such-rule"], ["audit", "replay", "."]],
)
def test_usage_errors_of_audit_end_with_64(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 64
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [["evaluate", "--help"], ["evaluate", "pack", "--help"]])
def test_help_ends_with_0(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 0
    assert result.stdout.startswith("Usage: evaluate")


def test_a_reader_that_goes_away_is_no_error() -> None:
    result = subprocess.run(
        f"{SCRIPTS / 'evaluate'} --help | head -c 1 >/dev/null; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0
