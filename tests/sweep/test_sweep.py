"""Whole sweeps over a local repository."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from repositories import REFORMATTED, RENAMED, TRACK, Contest, below, submission

from auditor.sweep import run
from auditor.sweep.command import sweep
from auditor.sweep.groups import Likeness, digests_of, group
from auditor.sweep.messages import Answer
from auditor.sweep.pool import Limits
from auditor.sweep.repository import Repository
from auditor.sweep.store import Store


def _sweep(contest: Contest, out: Path, *options: str) -> tuple[str, dict[int, dict[str, Any]]]:
    arguments = ["--git", str(contest.folder), "--out", str(out), "--no-probe", "--workers", "1", *options]
    result = CliRunner().invoke(sweep, arguments, standalone_mode=False, catch_exceptions=False)
    assert result.return_value == 0
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    return result.stderr, {row["pull"]: row for row in rows}


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    made = Contest(tmp_path_factory.mktemp("sweep") / "contest")
    made.pull(1, below(f"{TRACK}/late", submission(seconds=640.0)))
    made.pull(2, below(f"{TRACK}/late", submission(seconds=640.0)) | {"notes.md": "by the way\n"})
    made.pull(3, below(f"{TRACK}/reformatted", submission(REFORMATTED)))
    made.pull(4, below(f"{TRACK}/renamed", submission(RENAMED)))
    made.pull(5, below(f"{TRACK}/broken", submission("def (:\n")))
    made.pull(6, below(f"{TRACK}/\u202e<script>alert(1)</script>\x1b[2J", submission("print(6)\n")))
    made.pull(7, below(f"{TRACK}/switched", submission(readme="# A model\n\n```\nSTEPS=9 python train_gpt.py\n```\n")))
    return made


@pytest.fixture(scope="module")
def swept(contest: Contest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, dict[int, dict[str, Any]]]:
    out = tmp_path_factory.mktemp("out")
    said, rows = _sweep(contest, out)
    return out, said, rows


def test_every_submission_has_its_verdict(swept: tuple[Path, str, dict[int, dict[str, Any]]]) -> None:
    _, said, rows = swept
    assert set(rows) == {1, 2, 3, 4, 5, 6, 7}
    assert {row["outcome"] for row in rows.values()} == {"audited"}
    assert rows[1]["verdict"] == "violation"
    assert rows[1]["rules"]["train-wallclock"] == "traced"
    assert rows[5]["verdict"] == "needs-review"
    assert rows[3]["verdict"] == "clear"
    assert "7 submissions, 0 already judged, 6 to audit" in said  # 2 holds the files of 1


def test_the_pull_request_is_part_of_what_is_judged(contest: Contest, tmp_path: Path) -> None:
    _, rows = _sweep(contest, tmp_path, "--prs", "2")
    assert rows[2]["rules"]["one-new-folder"] == "traced"
    _, rows = _sweep(contest, tmp_path / "b", "--prs", "1")
    assert "one-new-folder" not in rows[1]["rules"]


def test_copies_name_their_parent_and_say_whether_the_verdict_is_theirs(
    swept: tuple[Path, str, dict[int, dict[str, Any]]],
) -> None:
    rows = swept[2]
    assert rows[2]["parent"]["likeness"] == Likeness.FILES
    assert rows[3]["parent"]["likeness"] == Likeness.CODE
    assert rows[4]["parent"]["likeness"] == Likeness.SHAPE
    assert rows[7]["parent"]["likeness"] == Likeness.LAUNCH
    assert {rows[number]["parent"]["ref"] for number in (2, 3, 4, 7)} == {"refs/pull/1/head"}
    assert [heir["ref"] for heir in rows[1]["inherited_by"]] == ["refs/pull/2/head", "refs/pull/3/head"]
    assert not rows[7]["parent"]["inherits"]
    assert "parent" not in rows[5]


def test_nothing_is_audited_twice(contest: Contest, swept: tuple[Path, str, dict[int, dict[str, Any]]]) -> None:
    out, _, before = swept
    said, rows = _sweep(contest, out)
    assert "7 submissions, 7 already judged, 0 to audit" in said
    assert rows == before


def test_a_slow_submission_is_killed_and_may_be_retried(contest: Contest, tmp_path: Path) -> None:
    choice = run.Choice(limits=Limits(seconds=0.05))
    repository = Repository(contest.folder)
    seen: list[Answer] = []
    with Store(tmp_path / "r.sqlite") as store:
        refs = repository.refs("refs/pull/1/head")
        plan = run.plan(repository, refs, repository.commit("main"), store, choice)
        run.sweep(contest.folder, plan.tasks, store, choice, seen.append)
        [entry] = store.entries()
        again = run.plan(repository, refs, repository.commit("main"), store, choice)
        retried = run.plan(repository, refs, repository.commit("main"), store, run.Choice(retry=True))
    assert [answer.outcome for answer in seen] == ["timeout"]
    assert (entry.outcome, entry.audit) == ("timeout", None)
    assert (len(again.tasks), len(retried.tasks)) == (0, 1)


def test_a_worker_that_dies_fails_one_submission_only(contest: Contest, tmp_path: Path) -> None:
    choice = run.Choice(limits=Limits(memory=4 << 20))
    repository = Repository(contest.folder)
    with Store(tmp_path / "r.sqlite") as store:
        refs = repository.refs("refs/pull/[15]/head")
        plan = run.plan(repository, refs, repository.commit("main"), store, choice)
        run.sweep(contest.folder, plan.tasks, store, choice, lambda _: None)
        entries = list(store.entries())
    assert [entry.outcome for entry in entries] == ["failed", "failed"]
    assert all(entry.reason for entry in entries)


def test_an_interrupted_sweep_goes_on(contest: Contest, tmp_path: Path) -> None:
    choice = run.Choice()
    repository = Repository(contest.folder)
    refs = repository.refs("refs/pull/[56]/head")

    def interrupt(_: Answer) -> None:
        raise KeyboardInterrupt

    with Store(tmp_path / "r.sqlite") as store:
        plan = run.plan(repository, refs, repository.commit("main"), store, choice)
        with pytest.raises(KeyboardInterrupt):
            run.sweep(contest.folder, plan.tasks, store, choice, interrupt)
    with Store(tmp_path / "r.sqlite") as store:
        assert len(run.plan(repository, refs, repository.commit("main"), store, choice).tasks) == 1


def test_groups_do_not_depend_on_the_order_of_entries(swept: tuple[Path, str, dict[int, dict[str, Any]]]) -> None:
    with Store(swept[0] / "results.sqlite") as store:
        digests = [digests_of(entry) for entry in store.entries()]
    assert group(digests) == group(reversed(digests))


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--prs", "5-1"], "no range"), (["--refs", "refs/none/*"], "no ref"), (["--main", "x"], "no commit 'x'")],
)
def test_usage_errors(contest: Contest, tmp_path: Path, options: list[str], message: str) -> None:
    arguments = ["--git", str(contest.folder), "--out", str(tmp_path), *options]
    result = CliRunner().invoke(sweep, arguments)
    assert result.exit_code == 2  # click's own; the entry point makes it 64
    assert message in result.output


def test_what_no_sweep_wrote_is_left_alone(contest: Contest, tmp_path: Path) -> None:
    (tmp_path / "results.sqlite").write_text("something else, and long enough to be looked at " * 20)
    before = (tmp_path / "results.sqlite").read_bytes()
    result = CliRunner().invoke(sweep, ["--git", str(contest.folder), "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "not a database" in result.output
    assert (tmp_path / "results.sqlite").read_bytes() == before


def test_a_partial_copy_is_enough(contest: Contest, tmp_path: Path) -> None:
    copy = Contest.__new__(Contest)
    copy.folder = tmp_path / "copy"
    shutil.copytree(contest.folder, copy.folder)
    blob = contest.git("rev-parse", f"refs/pull/1/head:{TRACK}/late/train_seed42.log")
    (copy.folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    _, rows = _sweep(copy, tmp_path / "out", "--prs", "1")
    assert rows[1]["absent"] == ["train_seed42.log: absent from this copy of the repository"]
    assert "required-files" not in rows[1]["rules"]


def test_reports_of_another_version_are_left_out(contest: Contest, tmp_path: Path) -> None:
    repository = Repository(contest.folder)
    refs = repository.refs("refs/pull/5/head")
    path = tmp_path / "r.sqlite"
    with Store(path) as store:
        plan = run.plan(repository, refs, repository.commit("main"), store, run.Choice())
        run.sweep(contest.folder, plan.tasks, store, run.Choice(), lambda _: None)
        assert len(list(store.entries())) == 1
    database = sqlite3.connect(path)
    old = zlib.decompress(database.execute("SELECT audit FROM answers").fetchone()[0])
    other = old.replace(b'"schema_version":1', b'"schema_version":0')
    with database:
        database.execute("UPDATE answers SET audit = ?", (zlib.compress(other),))
    database.close()
    with Store(path) as store:
        assert list(store.entries()) == []
