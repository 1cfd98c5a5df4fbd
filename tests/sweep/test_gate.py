"""The gate on local pull requests: its decision, its files, and the action's steps run as scripts."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from repositories import TRACK, Contest, below, submission
from ruamel.yaml import YAML

from auditor.audit import audit_folder
from auditor.exits import Exit
from auditor.findings import Verdict
from auditor.gate.command import gate
from auditor.gate.decision import decide
from auditor.options import Options
from auditor.report.document import Audit, ProbeCoverage
from auditor.rule_packs import load_rules
from evaluator.cli import COMMANDS as EVALUATE
from evaluator.resolve import Options as EvaluateOptions
from evaluator.resolve import missing_for_official

ROOT = Path(__file__).parents[2]
CLEAN, LATE, BROKEN, HOSTILE, EMPTY = 1, 2, 3, 4, 5
EVIL = "::error::forged\r\n::set-output name=x::y\n<img src=x onerror=alert(1)>\n@everyone\n"


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    made = Contest(tmp_path_factory.mktemp("gate") / "origin")
    made.pull(CLEAN, below(f"{TRACK}/2026-04-01_Clean", submission()))
    made.pull(LATE, below(f"{TRACK}/2026-04-01_Late", submission(seconds=640.0)))
    made.pull(BROKEN, below(f"{TRACK}/2026-04-01_Broken", submission("def (:\n")))
    evil = submission("open('/tmp/ran', 'w')\n" + EVIL, seconds=640.0, readme=EVIL)
    evil["submission.json"] = json.dumps({"name": EVIL, "author": EVIL, "val_bpb": 1.2})
    evil["train_seed42.log"] += EVIL
    outside = {
        "conftest.py": "raise SystemExit('ran')\n",
        "sitecustomize.py": "raise SystemExit('ran')\n",
        "auditor/__init__.py": "raise SystemExit('ran')\n",
        ".gitattributes": "* filter=evil\n",
        ".github/workflows/audit.yml": "on: push\n",
    }
    made.pull(HOSTILE, below(f"{TRACK}/x\n::error::forged", evil) | outside)
    made.pull(EMPTY, {"notes.md": "nothing to judge\n"})
    return made


@dataclass(frozen=True)
class Run:
    """What a run of the action's steps left behind."""

    code: int
    printed: list[str]
    summary: str
    outputs: dict[str, str]
    folder: Path
    work_tree: Path


def _steps() -> dict[str, dict[str, Any]]:
    document = YAML(typ="safe").load((ROOT / "action.yml").read_text(encoding="utf-8"))
    return {step.get("name", step.get("uses")): step for step in document["runs"]["steps"]}


def _run(contest: Contest, pull: int, folder: Path, *, number: int | None = None) -> Run:
    """Check out the base as the workflow does, then run the steps that hold our scripts.

    ``number`` is what the event says, where that is not the pull request itself.
    """
    work, temporary = folder / "work", folder / "temp"
    temporary.mkdir(parents=True)
    subprocess.run(["git", "clone", "-q", str(contest.folder), str(work)], check=True)
    program = folder / "audit"
    main = "from auditor.entry import main; main()"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -c "{main}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    event = {
        "github.event.pull_request.base.sha": contest.git("rev-parse", "main"),
        "github.event.pull_request.head.sha": contest.git("rev-parse", f"refs/pull/{pull}/head"),
        "github.event.pull_request.number": str(number or pull),
        "inputs.no-probe": "true",
        "inputs.as-of": "",
    }
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(ROOT),
        "AUDIT": str(program),
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_WORKSPACE": str(work),
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "RUNNER_TEMP": str(temporary),
    }
    step = _steps()["Judge"]
    given = {name: event[value.removeprefix("${{ ").removesuffix(" }}")] for name, value in step["env"].items()}
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=work,
        env=environment | given,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = (folder / "output").read_text(encoding="utf-8").splitlines()
    outputs = dict(line.partition("=")[::2] for line in lines)
    last = subprocess.run(["bash", "-e", "-c", _steps()["The gate"]["run"]], env={"CODE": outputs["code"]}, check=False)
    summary = folder / "summary"
    return Run(
        last.returncode,
        done.stdout.splitlines(),
        summary.read_text(encoding="utf-8") if summary.exists() else "",
        outputs,
        Path(outputs["folder"]),
        work,
    )


def _commands(printed: list[str]) -> list[str]:
    """The lines that GitHub takes for commands."""
    stop = printed[0].removeprefix("::stop-commands::")
    assert re.fullmatch("[0-9a-f]{32}", stop)
    return printed[printed.index(f"::{stop}::") + 1 :]


def test_a_clean_pull_request_passes_only_without_asking_for_experiments(contest: Contest, tmp_path: Path) -> None:
    run = _run(contest, CLEAN, tmp_path / "a")
    assert (run.code, run.outputs["verdict"]) == (0, "passed")
    assert "NOTHING FOUND" in run.summary
    assert [line for line in _commands(run.printed) if line.startswith("::error")] == []


def test_a_violating_one_fails_and_says_where(contest: Contest, tmp_path: Path) -> None:
    run = _run(contest, LATE, tmp_path / "a")
    assert (run.code, run.outputs["verdict"]) == (1, "violation")
    annotations = [line for line in _commands(run.printed) if "train-wallclock" in line]
    assert annotations[0].startswith(f"::error file={TRACK}/2026-04-01_Late/train_seed1337.log,line=")
    results = json.loads(Path(run.outputs["sarif"]).read_text(encoding="utf-8"))["runs"][0]["results"]
    places = [result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in results]
    assert f"{TRACK}/2026-04-01_Late/train_seed1337.log" in places
    assert {"comment.md", "report-1.html", "report-1.json", "annotations.txt"} <= {p.name for p in run.folder.iterdir()}
    assert run.summary.startswith("<!-- model-golf-referee -->")


def test_a_broken_one_needs_review(contest: Contest, tmp_path: Path) -> None:
    run = _run(contest, BROKEN, tmp_path / "a")
    assert (run.code, run.outputs["verdict"]) == (2, "needs-review")


def test_a_hostile_one_forges_nothing_and_runs_nothing(contest: Contest, tmp_path: Path) -> None:
    run = _run(contest, HOSTILE, tmp_path / "a")
    assert run.code == 1
    commands = _commands(run.printed)
    assert all(re.match(r"::(error|warning|notice) [^\n]*::", line) for line in commands)
    assert not any(line.startswith(("::error::forged", "::set-output")) for line in commands)
    outside = re.sub(r"(?ms)^(`{3,})text$.*?^\1$", "", run.summary)
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)
    assert "@everyone" not in outside
    assert "<img" not in outside
    assert {path.name for path in run.work_tree.iterdir()} == {".git", "README.md", "train_gpt.py"}
    notes = json.loads((run.folder / "report-1.json").read_text(encoding="utf-8"))["rules"]
    [new_folder] = [rule for rule in notes if rule["rule"] == "one-new-folder"]
    assert any(".github/workflows" in finding["message"] for finding in new_folder["findings"])


def test_a_pull_request_that_is_gone_is_an_error_and_no_verdict(contest: Contest, tmp_path: Path) -> None:
    run = _run(contest, CLEAN, tmp_path / "a", number=99)
    assert (run.code, run.outputs["verdict"]) == (70, "error")
    assert "sarif" not in run.outputs
    result = CliRunner().invoke(gate, ["--git", str(contest.folder), "--head", "0" * 40])
    assert "no commit" in result.output
    assert result.exit_code == 2  # click's own; the entry point makes it 64


def _gate(contest: Contest, *options: str) -> tuple[int, str]:
    result = CliRunner().invoke(gate, ["--git", str(contest.folder), *options], standalone_mode=False)
    assert result.exception is None, result.output
    return int(result.return_value), result.output


def test_a_pull_request_without_submission_passes(contest: Contest) -> None:
    assert _gate(contest, "--head", f"refs/pull/{EMPTY}/head") == (0, "this pull request brings no submission\n")


def test_the_hook_judges_what_is_staged(contest: Contest, tmp_path: Path) -> None:
    clone = Contest.__new__(Contest)
    clone.folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(contest.folder), str(clone.folder)], check=True)
    assert _gate(clone, "--staged", "--no-probe")[0] == 0
    clone.write(below(f"{TRACK}/2026-04-01_Mine", submission(seconds=640.0)))
    assert _gate(clone, "--staged", "--no-probe")[0] == 0  # nothing is staged yet
    clone.git("add", "-A")
    head = clone.git("rev-parse", "HEAD")
    code, text = _gate(clone, "--staged", "--no-probe")
    assert code == 1
    assert "train-wallclock" in text
    assert clone.git("rev-parse", "HEAD") == head


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Audit:
    folder = tmp_path_factory.mktemp("decision") / "a"
    folder.mkdir()
    (folder / "train_gpt.py").write_text("print(1)\n")
    rules = [rule for rule in load_rules() if rule.id == "train-wallclock"]
    return audit_folder(folder, Options(), rules=rules)


def _covered(audit: Audit, *, ran: bool, engaged: tuple[str, ...], reason: str = "") -> Audit:
    coverage = msgspec.structs.replace(audit.coverage, probe=ProbeCoverage(ran, reason), engaged=engaged)
    return msgspec.structs.replace(audit, coverage=coverage, verdict=Verdict.CLEAR)


def test_only_full_coverage_opens_the_gate(audit: Audit) -> None:
    full = _covered(audit, ran=True, engaged=("scoring",))
    idle = _covered(audit, ran=True, engaged=())
    none = _covered(audit, ran=False, engaged=(), reason="no script")
    vague = _covered(audit, ran=True, engaged=("scoring",), reason="not engaged: ttt")
    unfollowed = msgspec.structs.replace(
        full,
        coverage=msgspec.structs.replace(
            full.coverage, static=msgspec.structs.replace(full.coverage.static, incomplete=("a loop",))
        ),
    )
    assert decide([full], probe=True).exit is Exit.OK
    for short in (idle, none, vague, unfollowed):
        decision = decide([full, short], probe=True)
        assert decision.exit is Exit.REFUSED
        assert decision.missing
        assert "full coverage" in decision.says
        assert decide([short], probe=False).exit is Exit.OK


def test_the_worst_submission_decides(audit: Audit) -> None:
    clear = _covered(audit, ran=True, engaged=("scoring",))
    bad, doubted = (msgspec.structs.replace(clear, verdict=v) for v in (Verdict.VIOLATION, Verdict.NEEDS_REVIEW))
    assert decide([clear, doubted, bad], probe=True).exit is Exit.FAILED
    assert decide([clear, doubted], probe=False).exit is Exit.REFUSED


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [("github-actions", "action.yml"), ("github-workflows", "examples/workflows/*.yml")],
)
def test_files_follow_the_published_schemas(schema: str, pattern: str) -> None:
    files = [str(path) for path in sorted(ROOT.glob(pattern))]
    assert files
    tool = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files]
    done = subprocess.run(tool, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_user_writes_few_lines_and_gives_no_rights() -> None:
    text = (ROOT / "examples" / "workflows" / "gate.yml").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 15
    workflow = YAML(typ="safe").load(text)
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets" not in text


def test_the_official_run_of_the_example_lacks_nothing(tmp_path: Path) -> None:
    workflow = YAML(typ="safe").load((ROOT / "examples" / "workflows" / "evaluate.yml").read_text(encoding="utf-8"))
    (script,) = (step["run"] for step in workflow["jobs"]["evaluate"]["steps"] if step.get("name") == "Score it")
    words = shlex.split(script.replace("\\\n", " ").replace("$RUNNER_TEMP", str(tmp_path)))
    given = EVALUATE[""].make_context("evaluate", words[1:]).params
    asked = {name: given[name] for name in ("artifact", "code", "data", "tokenizer", "official", "time_limit")}
    assert given["official"]
    assert missing_for_official(EvaluateOptions(**asked)) == []


def test_no_expression_stands_inside_a_script() -> None:
    for path in (ROOT / "action.yml", *sorted((ROOT / "examples" / "workflows").glob("*.yml"))):
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        jobs = [document["runs"]] if "runs" in document else list(document["jobs"].values())
        scripts = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
        assert not any("${{" in script for script in scripts), path.name
