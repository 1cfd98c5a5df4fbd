"""Two ranks: how they meet, whose scores are whose, and what is a leak from one to the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import toy_scorers as toy
from toy_scorers import DESIGN, Model, Tokens, Vector

from auditor.audited import Audited
from auditor.options import ProbeOptions
from auditor.probe.across_ranks import Compared, Shares, across_ranks, circle, is_worth_it, mutual_changes, shares
from auditor.probe.design import Change
from auditor.probe.engagement import FITTING, TRAINING
from auditor.probe.evidence import counter_example, read_evidence, write_evidence
from auditor.probe.kinds import Kind
from auditor.probe.plan import Stream, Variant
from auditor.probe.record import Event, Line, ProbeRun, Recording
from auditor.probe.replay import replay
from auditor.probe.runner import run_probe
from auditor.probe.settings import setup_for
from auditor.probe.two_ranks import first_order, merged, rank_of
from auditor.sandbox import Tier, available_tier
from auditor.submission import read_submission

EXAMPLES = Path(__file__).parents[2] / "examples" / "submissions"
FOLDER = Path(__file__).parent / "submissions" / "two_ranks"
CHUNK = 64
needs_sandbox = pytest.mark.skipif(available_tier() is Tier.NONE, reason="no sandbox works here")

Scores = Iterator[tuple[int, int, Vector]]
"""Reductions as (collectives passed, rank, losses)."""
Ranked = Callable[[Tokens, Tokens], Scores]
"""What two ranks score, given the copy of the stream that each has."""


def halves(first: Tokens, second: Tokens) -> Iterator[tuple[Tokens, Tokens]]:
    """Each rank's half of each chunk, with the token before it, from its own copy."""
    middle = CHUNK // 2
    for begin in range(0, DESIGN.targets, CHUNK):
        yield first[begin : begin + middle + 1], second[begin + middle : begin + CHUNK + 1]


def averaged(first: Tokens, second: Tokens) -> Scores:
    """Honest: a chunk is scored by both, then both learn from all of it."""
    model = Model()
    for number, parts in enumerate(halves(first, second)):
        for rank, part in enumerate(parts):
            yield number, rank, model.nll(part)
        for part in parts:
            model.train(part)


def exchanged(first: Tokens, second: Tokens) -> Scores:
    """Each half is scored by a model that learned from the other half."""
    for number, (one, two) in enumerate(halves(first, second)):
        for rank, (own, other) in enumerate(((one, two), (two, one))):
            model = Model()
            model.train(other)
            yield number, rank, model.nll(own)


def backwards(first: Tokens, second: Tokens) -> Scores:
    """Honest, by events: the second rank scores the stream's second half before the first scores the other half."""
    middle, model = DESIGN.targets // 2, Model()
    yield 0, 1, model.nll(second[middle:])
    model.train(second[middle:])
    yield 1, 0, model.nll(first[: middle + 1])


def summed_at_the_end(first: Tokens, second: Tokens) -> Scores:
    """The same, but every loss is added up when all is over: the order of reductions says nothing."""
    for _, rank, losses in sorted(backwards(first, second), key=lambda scores: scores[1]):
        yield 5, rank, losses


def gathered(first: Tokens, second: Tokens) -> Scores:
    """Honest: no rank learns anything, and each adds up what both computed for a chunk."""
    model = Model()
    for number, parts in enumerate(halves(first, second)):
        for rank in (0, 1):
            yield number, rank, model.nll(parts[rank])
            yield number, rank, model.nll(parts[1 - rank])


def record(scores: Scores) -> Recording:
    """The recording of both ranks."""
    events, numbers = [], dict.fromkeys((0, 1), 0)
    for collectives, rank, losses in scores:
        numbers[rank] += 1
        events.append(Event(toy.SITE, losses, first_order(collectives, rank) + numbers[rank]))
    total, count = sum(float(event.values.sum()) for event in events), sum(len(event.values) for event in events)
    line = Line(first_order(9, 0), f"val_loss:{total / count:.8f}")
    return Recording("ok", "", "main", tuple(sorted(events, key=lambda event: event.order)), (line,))


def recordings(scorer: Ranked) -> Mapping[Change, Recording]:
    """Runs of all that decides."""
    variants = {change: DESIGN.ranked(change) for change in mutual_changes(DESIGN)}
    return {
        change: record(scorer(variant.validation.tokens.astype("uint16"), variant.other.tokens.astype("uint16")))
        for change, variant in variants.items()
        if variant.other is not None
    }


def measured(scorer: Ranked) -> Shares:
    found = shares(recordings(scorer), DESIGN, frozenset())
    assert isinstance(found, Shares), found
    return found


def test_texts_that_each_rank_learned_before_the_other_scored_it_are_a_leak() -> None:
    failure = circle(measured(exchanged), DESIGN)
    assert failure is not None
    assert failure.kind is Kind.RANKS
    assert failure.expected == {"reached": CHUNK // 2, "back": CHUNK // 2, "entries": DESIGN.targets}
    assert DESIGN.targets - CHUNK <= failure.position < DESIGN.targets - CHUNK // 2


@pytest.mark.parametrize("scorer", [averaged, backwards, summed_at_the_end, gathered])
def test_what_was_scored_may_reach_the_other_rank(scorer: Ranked) -> None:
    assert circle(measured(scorer), DESIGN) is None


@pytest.mark.parametrize("scorer", [backwards, summed_at_the_end])
def test_an_earlier_score_of_later_text_moves_the_other_rank_and_is_no_leak(scorer: Ranked) -> None:
    found = measured(scorer)
    assert len(found.of(0, Change("second", DESIGN.targets))) == DESIGN.targets // 2
    assert not found.of(1, Change("first", DESIGN.targets // 2 - 3))


def test_whose_score_is_whose_is_told_by_the_order() -> None:
    found = measured(averaged)
    assert found.ranks.tolist() == ([0] * 32 + [1] * 32) * 4


def test_scores_that_do_not_repeat_prove_nothing() -> None:
    runs = dict(recordings(exchanged))
    runs[Change("repeat")] = runs[Change("second", DESIGN.targets)]
    assert shares(runs, DESIGN, frozenset()) == "two runs of two ranks on the same streams give different scores"


def test_scores_of_one_rank_are_not_shared() -> None:
    runs = {
        change: replace(run, events=tuple(event for event in run.events if rank_of(event.order) == 0))
        for change, run in recordings(gathered).items()
    }
    assert shares(runs, DESIGN, frozenset()) == "the scores that two ranks share could not be found"


def test_a_run_with_a_failed_rank_is_a_failed_run() -> None:
    good, bad = record(averaged(DESIGN.tokens, DESIGN.tokens)), Recording("error", "broken", "main")
    assert merged(good, good).status == "ok"
    assert (merged(good, bad).status, merged(good, bad).error) == ("error", "the second rank: broken")
    assert merged(bad, good).error == "broken"


def test_only_scripts_that_share_work_and_learn_are_run() -> None:
    sharing, alone = (read_submission(EXAMPLES / name) for name in ("averaged_ranks_ttt", "honest_score_first_ttt"))
    assert is_worth_it([TRAINING], sharing)
    assert not is_worth_it([FITTING], sharing)
    assert not is_worth_it([TRAINING], alone)


@pytest.fixture(scope="module")
def two_ranks() -> Mapping[str, Recording]:
    submission = read_submission(FOLDER)
    modes = ("", "again", "one ends", "elsewhere", "one fails")
    base, other = DESIGN.stream(Change("base")), DESIGN.stream(Change("rewrite", 200))
    full = [Variant(mode, base, environment={"MODE": mode}, other=Stream(other.tokens)) for mode in modes]
    run: ProbeRun = run_probe(submission, setup_for(submission), full=full, budget=60.0)
    return dict(zip(modes, run.full, strict=True))


@needs_sandbox
@pytest.mark.slow
@pytest.mark.xdist_group("probe")
class TestRun:
    """Through the sandbox."""

    def test_collectives_mean_what_they_mean_and_runs_repeat(self, two_ranks: Mapping[str, Recording]) -> None:
        run, again = two_ranks[""], two_ranks["again"]
        assert run.status == "ok", run.error
        assert [event.order for event in run.events] == [event.order for event in again.events]
        assert run.returned == again.returned

    def test_each_rank_reads_its_own_copy(self, two_ranks: Mapping[str, Recording]) -> None:
        shared = [event for event in two_ranks[""].events if len(event.values) == DESIGN.targets // 2]
        assert [rank_of(event.order) for event in shared] == [0, 1]
        middle = DESIGN.targets // 2
        other = DESIGN.apply(Change("rewrite", 200))
        assert shared[0].values.tolist() == (DESIGN.tokens[1 : middle + 1] / 10.0).tolist()
        assert shared[1].values.tolist() == (other[middle + 1 :] / 10.0).tolist()

    @pytest.mark.parametrize(
        ("mode", "said"),
        [
            ("one ends", "rank 0 is at all_reduce, the other at end"),
            ("elsewhere", "rank 0 is at all_reduce, the other at broadcast"),
            ("one fails", "rank 0 is at all_reduce, the other at end"),
        ],
    )
    def test_ranks_that_do_not_meet_fail(self, two_ranks: Mapping[str, Recording], mode: str, said: str) -> None:
        assert two_ranks[mode].status == "error"
        assert said in two_ranks[mode].error

    def test_an_honest_exchange_moves_nothing(self) -> None:
        audited = Audited(read_submission(EXAMPLES / "averaged_ranks_ttt"))
        compared = across_ranks(audited, ProbeOptions(), 60.0)
        assert isinstance(compared, Compared)
        assert compared.failure is None
        assert "changed 0 of the first's 128 scores" in compared.said

    def test_a_leak_is_shown_and_its_counter_example_replays(self, tmp_path: Path) -> None:
        submission = read_submission(EXAMPLES / "exchanged_ranks_ttt")
        compared = across_ranks(Audited(submission), ProbeOptions(), 60.0)
        assert isinstance(compared, Compared)
        assert compared.failure is not None
        assert compared.failure.said.startswith("across ranks: changing token 256")
        (path,) = write_evidence(tmp_path, [(compared.failure, compared.session)], submission)
        assert path.name == "ranks.json"
        example = read_evidence(path.read_bytes())
        assert example == counter_example(compared.failure, compared.session, submission)
        assert replay(example, submission, 60.0) == (True, compared.failure.said)
