"""Static paths and experiments in one verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import toy_scorers as toy
from toy_scorers import DESIGN, Scorer

from auditor.findings import Condition, Finding, RuleResult, Severity, Status
from auditor.probe.conclude import covered
from auditor.probe.engagement import FITTING, TRAINING, engaged_mechanisms
from auditor.probe.evidence import EvidenceError, counter_example, read_evidence, write_evidence
from auditor.probe.experiments import Experiments, Session
from auditor.probe.failure import failures_of
from auditor.probe.kinds import EXPERIMENT_ONLY, Kind
from auditor.probe.measure import Measured, measure
from auditor.probe.merge import merge
from auditor.probe.plan import Setup
from auditor.probe.record import Event, Recording, Site
from auditor.submission import Submission, read_submission

PATH = Finding("the score uses what it predicts", "train_gpt.py", 42)
RULES = ("ngram-target-in-key", "ngram-not-normalised", "ttt-before-score", "prequant-val-ttt", "causal-dependence")


@pytest.fixture
def submission(tmp_path: Path) -> Submission:
    (tmp_path / "train_gpt.py").write_text("import torch\n\n\ndef evaluate():\n    pass\n")
    return read_submission(tmp_path)


def static(**statuses: Status) -> tuple[RuleResult, ...]:
    """Results of the static half; what is not named is clear."""
    found = {name.replace("_", "-"): status for name, status in statuses.items()}
    return tuple(
        RuleResult(
            rule,
            Condition.CAUSALITY,
            Severity.VIOLATION,
            status := found.get(rule, Status.CLEAR),
            findings=(PATH,) if status in {Status.TRACED, Status.SUSPECTED} else (),
        )
        for rule in RULES
    )


def experiments(scorer: Scorer, *at_load: str, artifact: bool = False) -> Experiments:
    """What the plan says of a scorer."""
    whole = {
        change: replace(run, artifacts={"model.ptz": f"{artifact and change.position > 0}"})
        for change, run in toy.recordings(scorer, whole=True).items()
    }
    main, call = measure(whole, DESIGN), measure(toy.recordings(scorer), DESIGN)
    assert isinstance(main, Measured)
    assert isinstance(call, Measured)
    session = Session(Setup("train_gpt.py"), DESIGN, main, call, 8, 1.0, "namespaces")
    failures = {failure.kind: (failure, session) for item in (call, main) for failure in failures_of(item, at_load)}
    return Experiments(sessions=(session,), failures=tuple(failures.values()))


def statuses(results: tuple[RuleResult, ...]) -> dict[str, Status]:
    return {result.rule: result.status for result in results if result.status is not Status.CLEAR}


def test_a_failure_proves_the_path_that_agrees(submission: Submission) -> None:
    results = merge(static(ttt_before_score=Status.TRACED), experiments(toy.train_first), submission)
    assert statuses(results) == {"ttt-before-score": Status.PROVED}
    finding = next(result for result in results if result.rule == "ttt-before-score").findings[0]
    assert finding.message == PATH.message
    assert finding.experiment == (
        "changing token 256 of a stream of 257 changed 256 of 256 scores; an honest scorer changes at most 1"
    )


def test_a_failure_without_a_path_names_the_site_whose_scores_moved(submission: Submission) -> None:
    results = merge(static(), experiments(toy.slot), submission)
    assert statuses(results) == {"causal-dependence": Status.PROVED}
    finding = next(result for result in results if result.rule == "causal-dependence").findings[0]
    assert (finding.file, finding.line) == ("train_gpt.py", toy.SITE.line)
    assert "evaluate()" in finding.message


@pytest.mark.parametrize(("labels", "status"), [((), Status.SUSPECTED), (("other",), Status.CLEAR)])
def test_what_is_no_part_of_the_claim_is_for_a_reviewer_unless_another_score_moved(
    labels: tuple[str, ...], status: Status, submission: Submission
) -> None:
    results = tuple(
        replace(result, findings=(replace(PATH, dormant=True),)) if result.rule == "prequant-val-ttt" else result
        for result in static()
    )
    ran = experiments(toy.train_first, artifact=True)
    failures = tuple((failure, replace(session, labels=frozenset(labels))) for failure, session in ran.failures)
    merged = merge(results, replace(ran, failures=failures), submission)
    assert statuses(merged).get("prequant-val-ttt", Status.CLEAR) is status


@pytest.mark.parametrize(("labels", "status"), [(("final_", "x"), Status.PROVED), (("other",), Status.SUSPECTED)])
def test_only_the_claimed_score_proves_without_a_path(
    labels: tuple[str, ...], status: Status, submission: Submission
) -> None:
    ran = experiments(toy.slot)
    failures = tuple((failure, replace(session, labels=frozenset(labels))) for failure, session in ran.failures)
    merged = merge(static(), replace(ran, failures=failures), submission)
    assert statuses(merged) == {"causal-dependence": status}
    merged = merge(static(causal_dependence=Status.TRACED), replace(ran, failures=failures), submission)
    assert statuses(merged) == {"causal-dependence": Status.PROVED}


def test_a_failure_without_a_path_names_the_function_that_had_learned_from_the_last_token(
    submission: Submission,
) -> None:
    """The plain score before it moves in one place, as it may; the second epoch of the adaptation moves all over."""
    plain, adapted = Site("sum", "train_gpt.py", "evaluate_plain", 12, 5), Site("sum", "train_gpt.py", "adapt", 3, 5)

    def adapting(run: Recording, tokens: toy.Tokens) -> Recording:
        model = toy.Model()
        before = [Event(plain, model.nll(tokens), -3), Event(adapted, model.nll(tokens), -2)]
        model.train(tokens)
        return replace(run, events=(*before, Event(adapted, model.nll(tokens), -1), *run.events))

    runs = toy.recordings(toy.train_first, whole=True)
    main = measure({change: adapting(run, DESIGN.apply(change)) for change, run in runs.items()}, DESIGN)
    assert isinstance(main, Measured)
    session = Session(Setup("train_gpt.py"), DESIGN, main, "decided", 8, 1.0, "namespaces")
    ran = Experiments(sessions=(session,), failures=tuple((failure, session) for failure in failures_of(main)))
    (proved,) = (result for result in merge(static(), ran, submission) if result.status is Status.PROVED)
    assert (proved.findings[0].file, proved.findings[0].line) == ("train_gpt.py", adapted.line)
    assert "in adapt()" in proved.findings[0].message


@pytest.mark.parametrize(
    ("is_bytewise", "proved"), [(False, "hint-gated-by-target"), (True, "byte-mixture-not-token-normalised")]
)
def test_a_sum_over_scored_bytes_is_one_of_a_byte_mixture(
    is_bytewise: bool, proved: str, submission: Submission
) -> None:
    (clear,) = (result for result in static() if result.rule == "causal-dependence")
    traced = replace(clear, status=Status.TRACED, findings=(PATH,))
    results = tuple(
        replace(traced, rule=rule) for rule in ("hint-gated-by-target", "byte-mixture-not-token-normalised")
    )
    ran = experiments(toy.slot)
    ((leak, session),) = ran.failures
    excess = replace(leak, kind=Kind.EXCESS, is_bytewise=is_bytewise)
    merged = merge(results, replace(ran, failures=((excess, session),)), submission)
    assert [result.rule for result in merged if result.status is Status.PROVED] == [proved]


def test_an_artifact_that_moved_proves_training_before_it_was_written(submission: Submission) -> None:
    results = merge(static(), experiments(toy.train_first, artifact=True), submission)
    assert statuses(results)["prequant-val-ttt"] is Status.PROVED


def test_sums_above_one_prove_the_traced_table(submission: Submission) -> None:
    results = merge(static(ngram_target_in_key=Status.TRACED), experiments(toy.hashed_cache), submission)
    assert statuses(results) == {"ngram-target-in-key": Status.PROVED}


def test_sums_with_small_tables_are_a_suspicion_without_a_path(submission: Submission) -> None:
    ran = experiments(toy.hashed_cache, "NGRAM_BUCKETS=64")
    assert statuses(merge(static(), ran, submission)) == {"ngram-not-normalised": Status.SUSPECTED}
    traced = merge(static(ngram_target_in_key=Status.TRACED), ran, submission)
    assert statuses(traced) == {"ngram-target-in-key": Status.PROVED}
    assert "NGRAM_BUCKETS=64" in traced[0].findings[0].experiment


@pytest.mark.parametrize("scorer", [toy.score_first, toy.adapted_documents], ids=lambda s: s.__name__)
def test_a_traced_path_is_doubted_where_the_adaptation_ran_and_nothing_moved(
    submission: Submission, scorer: Scorer
) -> None:
    results = merge(static(ttt_before_score=Status.TRACED), experiments(scorer), submission)
    assert statuses(results) == {"ttt-before-score": Status.SUSPECTED}
    assert "did not confirm" in results[2].findings[0].experiment


def test_a_traced_path_stays_where_nothing_adapted(submission: Submission) -> None:
    results = merge(static(ttt_before_score=Status.TRACED), experiments(toy.plain), submission)
    assert statuses(results) == {"ttt-before-score": Status.TRACED}


def test_a_pass_clears_what_only_an_experiment_can_tell(submission: Submission) -> None:
    before = tuple(
        replace(result, status=Status.NOT_APPLICABLE, reason=EXPERIMENT_ONLY)
        if result.rule == "causal-dependence"
        else result
        for result in static()
    )
    assert statuses(merge(before, experiments(toy.sliding), submission)) == {}
    not_engaged = replace(experiments(toy.sliding), expected=("test-time training",))
    assert merge(before, not_engaged, submission) == before


def test_what_did_not_run_changes_nothing(submission: Submission) -> None:
    before = static(ttt_before_score=Status.TRACED, ngram_target_in_key=Status.NOT_ANALYSABLE)
    assert merge(before, Experiments("the script does not load"), submission) == before


def test_a_scorer_that_does_not_repeat_itself_proves_nothing() -> None:
    found = measure(toy.recordings(toy.slot), DESIGN)
    assert isinstance(found, Measured)
    assert failures_of(replace(found, deterministic=False)) == ()


def test_the_shown_change_is_a_single_token(submission: Submission) -> None:
    """Rewriting the end from token 73 on shows it, too; the last token alone is less."""
    (failure, _) = experiments(toy.train_first).failures[0]
    assert failure.position == DESIGN.targets
    middle = experiments(toy.last_chunk_untrained).failures[0][0]
    assert middle.changes[0].kind == "substitute"


def test_a_counter_example_is_a_file_that_says_what_it_needs(tmp_path: Path, submission: Submission) -> None:
    ran = experiments(toy.slot)
    (path,) = write_evidence(tmp_path / "evidence", ran.failures, submission)
    example = read_evidence(path.read_bytes())
    assert example == counter_example(*ran.failures[0], submission)
    assert [stream.change for stream in example.streams] == ["base", "repeat", "rewrite"]
    assert example.design().targets == DESIGN.targets


def test_an_altered_counter_example_is_refused(tmp_path: Path, submission: Submission) -> None:
    (path,) = write_evidence(tmp_path, experiments(toy.slot).failures, submission)
    text = path.read_text()
    with pytest.raises(EvidenceError, match="digest"):
        read_evidence(text.replace('"sha256": "', '"sha256": "0', 1).encode())
    for other in (b"{}", b"\xff", b'{"format": "\xff"}', b'{"unknown":' + b"[" * 100_000):
        with pytest.raises(EvidenceError, match="not a counter-example"):
            read_evidence(other)


def test_a_counter_example_of_another_script_is_refused(tmp_path: Path, submission: Submission) -> None:
    example = counter_example(*experiments(toy.slot).failures[0], submission)
    (tmp_path / "train_gpt.py").write_text("import torch  # another\n")
    with pytest.raises(EvidenceError, match="is not the script"):
        example.setup(read_submission(tmp_path))


def test_a_pass_says_what_it_did_not_show() -> None:
    passed = experiments(toy.plain)
    assert covered(passed).coverage.reason == ""
    assert covered(passed).engaged == ("scoring",)
    assert "oracle-min-nll" in covered(passed, ["oracle-min-nll"]).coverage.reason
    assert covered(replace(passed, expected=("n-gram statistics",))).coverage.reason == "not engaged: n-gram statistics"
    assert not covered(Experiments("the script does not load")).coverage.ran


def test_a_leak_is_the_work_of_the_one_mechanism_that_is_expected() -> None:
    (leaking,) = (session.main for session in experiments(toy.slot).sessions)
    assert isinstance(leaking, Measured)
    assert engaged_mechanisms([FITTING], [leaking]) == (FITTING,)
    assert engaged_mechanisms([TRAINING, FITTING], [leaking]) == ()
