"""What the measurements say of scorers that are known: the honest ones pass, each leak is found by its own check."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pytest
import toy_scorers as toy
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_scorers import DESIGN, Scorer

from auditor.probe.checks import honest_changes
from auditor.probe.design import Change, leak_changes, order_change
from auditor.probe.measure import Measured, measure

HONEST: list[Scorer] = [toy.plain, toy.sliding, toy.score_first, toy.exact_cache, toy.documents, toy.adapted_documents]
LEAKING: list[Scorer] = [toy.train_first, toy.last_chunk_untrained, toy.slot, toy.two_pass, toy.two_pass_cache]
UNNORMALISED: list[Scorer] = [toy.hit_only_cache, toy.hashed_cache, toy.oracle_min, toy.gated_tilt]


@cache
def measured(scorer: Scorer, *, whole: bool = False) -> Measured:
    found = measure(toy.recordings(scorer, whole=whole), DESIGN)
    assert isinstance(found, Measured), found
    return found


@pytest.mark.parametrize("scorer", HONEST, ids=lambda s: s.__name__)
def test_an_honest_scorer_leaks_nothing_and_sums_to_one(scorer: Scorer) -> None:
    found = measured(scorer)
    assert found.deterministic
    assert (found.leaks, found.excesses) == ((), ())
    assert len(found.shifts) == 12
    assert len(found.totals) == 6
    assert all(0.75 < total.total < 1.0 for total in found.totals)  # what BOS has is missing
    assert all(total.candidates == toy.V - 1 for total in found.totals)


@pytest.mark.parametrize("scorer", LEAKING, ids=lambda s: s.__name__)
@pytest.mark.parametrize("whole", [False, True], ids=["call", "main"])
def test_a_leak_moves_more_scores_than_it_may(scorer: Scorer, whole: bool) -> None:
    worst = measured(scorer, whole=whole).leaks[0]
    assert worst.changed > worst.allowed


@pytest.mark.parametrize("scorer", UNNORMALISED, ids=lambda s: s.__name__)
def test_what_is_no_distribution_adds_up_to_more_than_one(scorer: Scorer) -> None:
    found = measured(scorer)
    assert found.leaks == ()
    assert len(found.excesses) >= 2


def test_the_last_token_tells_nothing_when_its_chunk_is_not_trained_on() -> None:
    found = measured(toy.last_chunk_untrained)
    assert all(item.is_causal for item in found.shifts if item.position > DESIGN.targets - toy.WINDOW)


@pytest.mark.parametrize("whole", [False, True], ids=["call", "main"])
def test_another_order_of_documents_is_no_leak(whole: bool) -> None:
    found = measured(toy.last_document_first, whole=whole)
    assert found.reordered
    assert found.leaks == ()
    assert not any(measured(scorer, whole=whole).reordered for scorer in (*HONEST, *LEAKING))


def test_the_last_few_tokens_tell_a_leak_from_another_order() -> None:
    changes = leak_changes(DESIGN)
    for scorer, leaks in ((toy.two_pass_pairs, True), (toy.last_document_first, False), (toy.rows_by_chunk, False)):
        runs = {change: toy.record(scorer, DESIGN.apply(change)) for change in (*changes, order_change(DESIGN))}
        few = measure({change: runs[change] for change in changes}, DESIGN)
        found = measure(runs, DESIGN)
        assert isinstance(few, Measured)
        assert isinstance(found, Measured)
        assert (few.reordered, found.reordered, bool(found.leaks)) == (True, not leaks, leaks)


def test_only_state_that_is_carried_along_reaches_later_windows() -> None:
    assert measured(toy.sliding).carried == 0.0
    assert measured(toy.score_first).carried > 0.9
    assert measured(toy.exact_cache).carried > 0.1
    assert measured(toy.adapted_documents).carried > 0.9
    assert measured(toy.documents).carried == 0.0


def test_a_scorer_that_draws_numbers_is_not_deterministic() -> None:
    random = np.random.default_rng(0)

    def noisy(tokens: toy.Tokens) -> Iterator[toy.Vector]:
        return (chunk + random.normal(size=chunk.shape) * 1e-3 for chunk in toy.plain(tokens))

    assert not measured(noisy).deterministic


def test_a_split_at_a_substituted_mark_is_left_out_of_the_sum() -> None:
    """Substituting BOS makes another document; the sum over the others stays a lower bound."""
    found = toy.recordings(toy.documents)
    extra = {
        Change("substitute", 165, toy.BOS): toy.record(toy.documents, DESIGN.apply(Change("substitute", 165, toy.BOS)))
    }
    totals = measure({**found, **extra}, DESIGN)
    assert isinstance(totals, Measured)
    assert all(total.total < 1.0 + 1e-6 for total in totals.totals)


def test_an_artifact_that_follows_the_validation_text_is_named() -> None:
    runs = {
        change: replace(run, artifacts={"model.ptz": f"{change.kind == 'rewrite'}", "log.txt": f"{change}"})
        for change, run in toy.recordings(toy.train_first, whole=True).items()
    }
    found = measure(runs, DESIGN)
    assert isinstance(found, Measured)
    assert found.moved_artifacts == ("model.ptz",)


def test_tokens_scored_twice_are_counted_against_the_whole_stream() -> None:
    """A scorer that leaves much of the stream out may score the rest again and again."""
    assert honest_changes(np.ones(256), 165, 256) == 92
    assert honest_changes(np.ones(304), 165, 256) == 92 + 48
    assert honest_changes(np.ones(192), 250, 256) == 7 * 4


@pytest.mark.parametrize("status", ["error", "load-error", "no-main", "timeout", "memory"])
def test_a_failed_base_run_says_why(status: str) -> None:
    runs = dict(toy.recordings(toy.plain, whole=True))
    failed = replace(runs[Change("base")], status=status, error="Traceback\nKeyError: 'x'")  # type: ignore[arg-type]
    said = measure({**runs, Change("base"): failed}, DESIGN)
    assert isinstance(said, str)
    assert "KeyError" in said


def test_a_score_that_no_reduction_makes_is_not_measured() -> None:
    def shrunk(tokens: toy.Tokens) -> Iterable[toy.Vector]:
        return toy.plain(tokens)

    runs = {
        change: replace(run, lines=(replace(run.lines[0], text="final val_loss:1.00000000"),))
        for change, run in toy.recordings(shrunk, whole=True).items()
    }
    assert measure(runs, DESIGN) == "no recorded reduction makes the printed score"


@given(st.randoms(use_true_random=False), st.sampled_from(HONEST))
@settings(derandomize=True, database=None, max_examples=8, deadline=None)
def test_the_order_of_entries_does_not_matter(random: Random, scorer: Scorer) -> None:
    """Any layout of an honest scorer's entries passes: nothing guesses from positions which entry is which."""
    order = list(range(sum(len(item) for item in scorer(DESIGN.tokens))))
    random.shuffle(order)

    def shuffled(tokens: toy.Tokens) -> Iterator[toy.Vector]:
        yield np.concatenate([np.asarray(item, dtype=np.float64) for item in scorer(tokens)])[order]

    found = measured(shuffled)
    assert (found.leaks, [total for total in found.totals if total.candidates == toy.V - 1 and total.total > 1.0]) == (
        (),
        [],
    )
