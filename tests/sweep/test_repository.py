"""Which submissions a ref brings, by git's objects alone."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from repositories import TRACK, Contest, below, submission

from auditor.gate.judge import judge_pull_request
from auditor.options import Options
from auditor.rule_packs import load_rules
from auditor.sweep.folders import submission_folders
from auditor.sweep.materialise import materialise
from auditor.sweep.plan import chosen, number_of, parse_numbers, submissions_of
from auditor.sweep.repository import Blob, BlobReader, Change, Ref, Repository, RepositoryError
from rules._logs import metadata


@pytest.fixture
def contest(tmp_path: Path) -> Contest:
    return Contest(tmp_path / "contest")


def _folders(*paths: str) -> tuple[str, ...]:
    return submission_folders([Change("A", path) for path in paths])


def test_folders_of_submissions() -> None:
    assert _folders(f"{TRACK}/a/x.py", f"{TRACK}/a/logs/1.txt", "README.md") == (f"{TRACK}/a",)
    assert _folders("records/mine/train_gpt.py") == ("records/mine",)
    assert _folders(f"fork/{TRACK}/a/README.md") == (f"fork/{TRACK}/a",)
    assert _folders(f"{TRACK}/a/records/{TRACK.partition('/')[2]}/b/README.md") == (f"{TRACK}/a/{TRACK}/b",)
    assert _folders("work/submission.json", "work/notes.md", "notes/x.md") == ("work",)
    assert _folders("work/submission.json", f"{TRACK}/a/README.md") == (f"{TRACK}/a",)
    assert _folders(f"{TRACK}/README.md", "README.md") == ()
    assert _folders("train_gpt.py", "README.md") == ("",)
    assert submission_folders([Change("D", f"{TRACK}/a/x.py"), Change("M", f"{TRACK}/b/x.py")]) == (f"{TRACK}/b",)


def test_a_merged_pull_request_is_measured_against_what_it_was_merged_into(contest: Contest) -> None:
    before = contest.git("rev-parse", "main")
    head = contest.pull(1, below(f"{TRACK}/one", submission()))
    contest.merge(1)
    other = contest.pull(2, below(f"{TRACK}/two", submission()))
    repository = Repository(contest.folder)
    main = repository.commit("main")
    assert repository.base(main, head) == before
    assert repository.base(main, other) == main
    [merged] = submissions_of(repository, Ref("refs/pull/1/head", head, 0), main)
    assert merged.folder == f"{TRACK}/one"
    assert {change.kind for change in merged.changes} == {"A"}


def test_unrelated_histories_are_compared_with_main(contest: Contest) -> None:
    contest.git("checkout", "-q", "--orphan", "other")
    contest.write(below(f"{TRACK}/one", submission()))
    head = contest.commit("No ancestor")
    repository = Repository(contest.folder)
    main = repository.commit("main")
    assert repository.base(main, head) == main
    assert [item.folder for item in submissions_of(repository, Ref("x", head, 0), main)] == [f"{TRACK}/one"]


def test_digests_follow_files_and_folder(contest: Contest) -> None:
    contest.pull(1, below(f"{TRACK}/one", submission()))
    contest.pull(2, below(f"{TRACK}/one", submission()) | {"README.md": "also here\n"})
    contest.pull(3, below(f"{TRACK}/two", submission()))
    contest.pull(4, below(f"{TRACK}/one", submission(readme="# Another\n")))
    repository = Repository(contest.folder)
    main = repository.commit("main")
    digests = [
        item.digest for ref in repository.refs("refs/pull/*/head") for item in submissions_of(repository, ref, main)
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_changed_scripts_at_the_top_are_the_submission(contest: Contest) -> None:
    head = contest.pull(1, {"train_gpt.py": "print(1)\n", "notes.md": "x"})
    repository = Repository(contest.folder)
    [found] = submissions_of(repository, Ref("refs/pull/1/head", head, 0), repository.commit("main"))
    assert (found.folder, {blob.path for blob in found.blobs}) == ("", {"train_gpt.py", "notes.md"})


def test_missing_blobs_are_noted_and_only_code_is_left_out(contest: Contest, tmp_path: Path) -> None:
    absent = "1" * 40
    present = contest.git("hash-object", "-w", "README.md")
    blobs = [
        Blob("weights.ptz", "100644", absent),
        Blob("train_gpt.py", "100644", absent),
        Blob("a/README.md", "100644", present),
        Blob("link", "120000", present),
        Blob("../out.txt", "100644", present),
        Blob(".git/hooks/x", "100755", present),
        Blob("a", "100644", present),
    ]
    root = tmp_path / "out"
    root.mkdir()
    with BlobReader(contest.folder) as reader:
        problems = materialise(blobs, root, reader)
    written = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert written == {"weights.ptz", "a/README.md"}
    assert not (tmp_path / "out.txt").exists()
    assert [problem.file for problem in problems] == [blob.path for blob in blobs if blob.path != "a/README.md"]


def test_reading_stops_at_the_limit_and_goes_on_with_the_next_blob(contest: Contest) -> None:
    contest.write({"long": "x" * 5000, "short": "y"})
    long, short = contest.git("hash-object", "-w", "long"), contest.git("hash-object", "-w", "short")
    with BlobReader(contest.folder) as reader:
        first, second = io.BytesIO(), io.BytesIO()
        assert reader.copy(long, first, 10)
        assert reader.copy(short, second, 10)
    assert (first.getvalue(), second.getvalue()) == (b"x" * 10, b"y")


def test_git_refusals_are_one_line(contest: Contest) -> None:
    with pytest.raises(RepositoryError, match="no commit '--help'"):
        Repository(contest.folder).commit("--help")
    with pytest.raises(RepositoryError):
        Repository(contest.folder).blobs("main", "absent")


def test_numbers_and_order_of_refs() -> None:
    assert parse_numbers("1, 3,5-7") == {1, 3, 5, 6, 7}
    for wrong in ("", "7-5", "x", "1,,2"):
        with pytest.raises(ValueError, match="no number"):
            parse_numbers(wrong)
    refs = [Ref(f"refs/pull/{number}/head", "0", 0) for number in (10, 9, 100)]
    assert [number_of(ref.name) for ref in chosen(refs, None)] == [9, 10, 100]
    assert [number_of(ref.name) for ref in chosen(refs, frozenset({10}))] == [10]


def test_the_record_to_beat_is_the_best_where_the_pull_request_left_main(contest: Contest) -> None:
    score = {"submission.json": metadata(val_bpb=1.21)}
    contest.pull(1, below(f"{TRACK}/one", submission() | score))
    before = contest.pull(2, below(f"{TRACK}/two", submission()))
    contest.merge(1)
    other = below("records/track_non_record_16mb/three", submission() | {"submission.json": metadata(val_bpb=0.9)})
    contest.pull(3, other)
    contest.merge(3)
    after = contest.pull(4, below(f"{TRACK}/four", submission()))
    repository = Repository(contest.folder)
    main = repository.commit("main")
    found = [next(submissions_of(repository, Ref("x", head, 0), main)).record for head in (before, after)]
    assert found == [None, 1.21]


def test_a_record_that_does_not_clear_the_one_before_is_noted(contest: Contest) -> None:
    contest.pull(1, below(f"{TRACK}/2026-04-01_One", submission() | {"submission.json": metadata(val_bpb=1.221)}))
    contest.merge(1)
    head = contest.pull(2, below(f"{TRACK}/2026-04-02_Two", submission()))
    rules = [rule for rule in load_rules() if rule.id == "record-threshold"]
    [report] = judge_pull_request(Repository(contest.folder), "main", head, rules, Options())
    [rule] = report.audit.rules
    assert rule.status == "traced"
    assert "one-sided one-sample t test" in rule.findings[0].message
    assert rule.facts["previous_from"] == "main branch"
    assert (rule.facts["previous_bpb"], rule.facts["runs"]) == (1.221, 3)
