"""The command: exit codes, options, files, and what it imports."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from submissions import honest, late

from auditor.cli import COMMANDS

SELECT = ["--select", "train-wallclock", "--select", "bpb-denominator"]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def run(*arguments: object, word: str = "") -> tuple[int, Result]:
    """The command's return value and click's result."""
    result = CliRunner().invoke(COMMANDS[word], [str(argument) for argument in arguments], standalone_mode=False)
    return (result.return_value if result.exception is None else -1), result


def test_the_verdict_is_the_exit_code(tmp_path: Path) -> None:
    assert run(honest(tmp_path / "a"), *SELECT)[0] == 0
    assert run(late(tmp_path / "b"), *SELECT)[0] == 1


def test_a_suspicion_ends_with_2(tmp_path: Path) -> None:
    folder = honest(tmp_path / "a")
    (folder / "submission.json").unlink()  # its total is under the cap
    (folder / "train_seed1337.log").write_text(
        (folder / "train_seed1337.log").read_text().replace("15860000", "16020000")
    )
    assert run(folder, "--select", "artifact-cap")[0] == 2


def test_json_has_what_the_issue_names(tmp_path: Path) -> None:
    code, result = run(late(tmp_path / "a"), "--format", "json", "--no-probe")
    document = json.loads(result.stdout)
    assert code == 1
    assert {"schema_version", "submission", "verdict", "coverage", "rules", "facts", "timing"} <= document.keys()
    assert {"static", "probe", "engaged"} <= document["coverage"].keys()
    found = next(rule for rule in document["rules"] if rule["rule"] == "train-wallclock")
    assert (found["condition"], found["severity"], found["status"]) == ("time", "V", "traced")
    assert found["findings"][0]["file"] == "train_seed1337.log"
    assert "640" in found["findings"][0]["text"]
    assert document["facts"]["logs"]["train_seed1337.log"]["stop"] == [640.0]


def test_the_output_file_holds_the_report(tmp_path: Path) -> None:
    folder = late(tmp_path / "a")
    for style, name in (("terminal", "report.txt"), ("json", "report.json"), ("sarif", "report.sarif")):
        code, result = run(folder, *SELECT, "--format", style, "--output", tmp_path / name)
        assert code == 1
        assert result.stdout == ""
        assert "train-wallclock" in (tmp_path / name).read_text()


def test_a_dash_stands_for_standard_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = late(tmp_path / "a")
    monkeypatch.chdir(tmp_path)
    assert "train-wallclock" in run(folder, *SELECT, "--format", "sarif", "--output", "-")[1].stdout
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == []


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    """The folder to judge is not even looked for."""
    (tmp_path / "file").write_text("kept")
    for output in (tmp_path / "no" / "report", tmp_path, tmp_path / "file" / "below"):
        _, result = run(tmp_path / "absent", "--output", output)
        assert re.search("cannot write|is a directory", str(result.exception))
    for option in ("--output", "--save-evidence"):
        _, result = run(tmp_path / "absent", option, tmp_path / "file")
        assert re.search("no such folder|is a file", str(result.exception))
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_help_names_every_command() -> None:
    text = run("--help")[1].output
    assert all(f"audit {word}" in text for word in COMMANDS)


def test_a_folder_whose_name_is_no_text_is_judged_from_the_cache_too(tmp_path: Path) -> None:
    folder = late(tmp_path / "caf\udce9")
    for cached in (False, True):
        code, result = run(folder, *SELECT, "--format", "json")
        assert (code, json.loads(result.stdout)["timing"]["cached"]) == (1, cached)


def test_a_link_to_itself_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert "no such folder" in str(run(tmp_path / "loop")[1].exception)


def test_ignored_rules_are_not_asked(tmp_path: Path) -> None:
    code, result = run(late(tmp_path / "a"), *SELECT, "--ignore", "train-wallclock")
    assert code == 0
    assert "train-wallclock" not in result.stdout


def test_rulings_of_later_days_do_not_apply(tmp_path: Path) -> None:
    folder = late(tmp_path / "a")
    assert run(folder, *SELECT, "--as-of", "2026-03-17")[0] == 0
    assert run(folder, *SELECT, "--as-of", "2026-03-18")[0] == 1


def test_a_baseline_silences_what_it_knows(tmp_path: Path) -> None:
    folder, known = late(tmp_path / "a"), tmp_path / "known.json"
    assert run(folder, *SELECT, "--format", "json", "--output", known)[0] == 1
    code, result = run(folder, *SELECT, "--baseline", known)
    assert code == 0
    assert "known: in the baseline" in result.stdout
    (folder / "train_seed1337.log").write_text((folder / "train_seed1337.log").read_text().replace("640000", "660000"))
    assert run(folder, *SELECT, "--baseline", known)[0] == 1


def test_suppressions_are_shown_and_need_a_reason(tmp_path: Path) -> None:
    folder, file = late(tmp_path / "a"), tmp_path / "mine.toml"
    file.write_text('[[suppress]]\nrule = "train-wallclock"\nreason = "the clock was wrong"\ndate = 2026-05-01\n')
    code, result = run(folder, *SELECT, "--suppress", file)
    assert code == 0
    assert result.stdout.count("the clock was wrong") == 2
    file.write_text('[[suppress]]\nrule = "train-wallclock"\nreason = " "\ndate = 2026-05-01\n')
    assert "gives no reason" in str(run(folder, *SELECT, "--suppress", file)[1].exception)


def test_a_suppression_file_in_the_folder_is_ignored(tmp_path: Path) -> None:
    folder = late(tmp_path / "a")
    (folder / ".audit.toml").write_text('[[suppress]]\nrule = "train-wallclock"\nreason = "mine"\ndate = 2026-05-01\n')
    assert run(folder, *SELECT)[0] == 1


def test_strict_lets_notes_ask_for_a_review(tmp_path: Path) -> None:
    folder = honest(tmp_path / "a")
    assert run(folder, "--select", "three-seeds")[0] == 0
    assert run(folder, "--select", "three-seeds", "--strict")[0] == 2


@pytest.mark.parametrize("word", ["rules", "explain"])
def test_reserved_words_win_over_folders(word: str) -> None:
    assert word in COMMANDS


def test_rules_are_listed_and_explained(tmp_path: Path) -> None:
    code, listed = run(word="rules")
    assert code == 0
    assert re.search(r"^C1 +V +ngram-target-in-key ", listed.stdout, re.MULTILINE)
    assert "valerio-oai in #779" in run("ngram-target-in-key", word="explain")[1].stdout
    assert run("no-such-rule", word="explain")[0] == -1
    assert run("--markdown", tmp_path / "pages", word="rules")[0] == 0
    assert (tmp_path / "pages" / "bpb-denominator.md").is_file()


def test_unchanged_input_is_answered_from_the_cache(tmp_path: Path) -> None:
    folder = late(tmp_path / "a")

    def audited(*options: str) -> dict[str, object]:
        return dict(json.loads(run(folder, *SELECT, "--format", "json", *options)[1].stdout))

    first, second = audited(), audited()
    assert (first["timing"]["cached"], second["timing"]["cached"]) == (False, True)  # type: ignore[index]
    assert {**first, "timing": None} == {**second, "timing": None}
    assert audited("--no-cache")["timing"]["cached"] is False  # type: ignore[index]
    (folder / "README.md").write_text("# Another text\n")
    assert audited()["timing"]["cached"] is False  # type: ignore[index]


ENVIRONMENT = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")


def test_no_heavy_import_in_the_process(tmp_path: Path) -> None:
    folder = late(tmp_path / "a")
    code = (
        "import sys; from auditor.cli import COMMANDS\n"
        f"COMMANDS[''].main([{str(folder)!r}, '--no-cache'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'scipy', 'hypothesis', 'numba', 'numpy', 'rich') if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert output.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_first_output_and_cached_answer_are_quick(tmp_path: Path) -> None:
    """Best of three: a busy machine may be late once."""
    folder = late(tmp_path / "a")
    script = str(Path(sys.executable).parent / "audit")

    def best(*arguments: str) -> float:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run([script, *arguments], capture_output=True, check=False, env=ENVIRONMENT)
            times.append(time.perf_counter() - start)
        return min(times)

    subprocess.run([script, str(folder)], capture_output=True, check=False, env=ENVIRONMENT)
    assert best("--help") < 0.8  # the goals of 0.4 s and 0.3 s, with room for a slow core
    assert best(str(folder)) < 0.8
