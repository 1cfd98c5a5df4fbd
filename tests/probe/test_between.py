"""What a server concludes between two runs: go on, or stop because the rest would decide nothing."""

from __future__ import annotations

import pytest
import toy_scorers as toy
from toy_scorers import DESIGN, Scorer

from auditor.probe.between import Between, conclude_between
from auditor.probe.design import Change, leak_changes


def concluded(scorer: Scorer) -> Between:
    runs = toy.recordings(scorer, whole=True)
    rewritten = [(change.position, runs[change]) for change in leak_changes(DESIGN) if change.kind == "rewrite"]
    return conclude_between(runs[Change("base")], rewritten, DESIGN.targets, frozenset())


@pytest.mark.parametrize("scorer", [toy.plain, toy.sliding, toy.score_first, toy.hashed_cache])
def test_it_goes_on_with_the_printed_score_where_nothing_leaks(scorer: Scorer) -> None:
    found = concluded(scorer)
    assert not found.leaks
    assert found.wanted is not None
    printed = float(toy.recordings(scorer)[Change("base")].lines[0].text.split("val_loss:")[1].split()[0])
    assert found.wanted[0] == printed


@pytest.mark.parametrize("scorer", [toy.train_first, toy.last_chunk_untrained, toy.slot, toy.two_pass])
def test_a_leak_ends_it(scorer: Scorer) -> None:
    assert concluded(scorer).leaks
