"""Exit codes of the installed scripts: what a shell or a CI job relies on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.exits import run_command

SCRIPTS = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parent.parent


Here = Callable[..., tuple[object, str, str]]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """Run a command in this process: exit code, standard output, standard error."""
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, getattr(sys, stream))  # the command puts others in their place

    def command(name: str, *arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        with pytest.raises(SystemExit) as end:
            run_command({"audit": "auditor.cli", "evaluate": "evaluator.cli"}[name], name)
        return end.value.code, *capfd.readouterr()

    return command


def run(*command: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ, COLUMNS="100")
    if path is not None:
        environment["PYTHONPATH"] = os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")])
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
        ["evaluate", "a.ptz", "--html", "."],
        ["evaluate", "pack", "checkpoint.pt", "--preset", "mini", "--output", "no/such/folder/artifact.ptz"],
        ["evaluate", "a.ptz", "--replay", "no-such-card.json"],
        ["evaluate", "pack"],
        ["evaluate", "pack", "checkpoint.pt", "--recipe", "no-such-recipe", "--preset", "mini"],
    ],
)
def test_usage_errors_end_with_64(here: Here, arguments: list[str]) -> None:
    code, _, said = here(*arguments)
    assert code == 64
    assert "Traceback" not in said
    assert said.startswith("Usage: evaluate")


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
def test_usage_errors_of_audit_end_with_64(here: Here, arguments: list[str]) -> None:
    code, _, said = here(*arguments)
    assert code == 64
    assert "Traceback" not in said


@pytest.mark.parametrize("arguments", [["evaluate", "--help"], ["evaluate", "pack", "--help"]])
def test_help_ends_with_0(here: Here, arguments: list[str]) -> None:
    code, told, _ = here(*arguments)
    assert code == 0
    assert told.startswith("Usage: evaluate")


VIOLATES = ["audit", "examples/submissions/hashed_ngram_cache", "--no-probe", "--select", "ngram-target-in-key"]


@pytest.mark.parametrize(("command", "code"), [(["evaluate", "--help"], 0), (["audit", "rules"], 0), (VIOLATES, 1)])
def test_a_reader_that_goes_away_changes_no_verdict(command: list[str], code: int) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [str(SCRIPTS / command[0]), *command[1:]], stdout=writing, stderr=subprocess.PIPE, check=False, cwd=ROOT
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (code, b"")


@pytest.mark.parametrize(("closed", "command", "code"), [(">&-", VIOLATES, 1), ("2>&-", ["audit", "no/such/dir"], 64)])
def test_closed_streams_change_no_exit_code(closed: str, command: list[str], code: int) -> None:
    result = subprocess.run(
        ["/bin/sh", "-c", f'"$@" {closed}', "sh", str(SCRIPTS / command[0]), *command[1:]],
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    assert (result.returncode, result.stdout, result.stderr) == (code, b"", b"")


def test_a_full_disk_is_one_line_and_no_verdict() -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [str(SCRIPTS / "audit"), "rules"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 70
    assert result.stderr == "audit: No space left on device: the output; this is not a verdict (exit 70)\n"


@pytest.mark.parametrize("when", ["while it loads", "while it works"])
def test_an_interruption_ends_with_130(when: str, tmp_path: Path) -> None:
    if when == "while it loads":
        (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    else:
        patch = "import auditor.rule_packs as p\ndef stop(): raise KeyboardInterrupt\np.load_rules = stop\n"
        (tmp_path / "sitecustomize.py").write_text(patch)
    result = run("audit", "rules", path=tmp_path)
    assert (result.returncode, result.stderr.strip()) == (130, "audit: interrupted")


def test_names_that_the_terminal_cannot_show_are_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "\N{CHECK MARK}"
    folder.mkdir()
    environment = dict(os.environ, PYTHONIOENCODING="latin-1")
    command = [str(SCRIPTS / "audit"), str(folder), "--no-probe", "--select", "required-files"]
    result = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert result.returncode == 0
    assert b"\\u2713" in result.stdout
