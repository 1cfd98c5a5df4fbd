"""The reductions behind a printed score: found by arithmetic, refused when the arithmetic fails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import toy_scorers as toy
from toy_scorers import DESIGN

from auditor.probe.design import Change
from auditor.probe.match import claims, entries, match_claim
from auditor.probe.record import Event, Line, Recording, Site

BASE = toy.record(toy.sliding, DESIGN.tokens)


def test_the_score_is_traced_to_its_entries() -> None:
    match = match_claim([BASE], DESIGN.targets)
    assert match is not None
    vector = entries(BASE, match)
    assert vector is not None
    assert match.site == toy.SITE
    assert vector.mean() == pytest.approx(match.claim.loss, abs=1e-8)


def test_logarithms_that_are_added_up_and_turned_around_are_losses() -> None:
    events = tuple(Event(event.site, -event.values, event.order) for event in BASE.events)
    match = match_claim([replace(BASE, events=events)], DESIGN.targets)
    assert match is not None
    turned, usual = entries(replace(BASE, events=events), match), entries(BASE, match)
    assert turned is not None
    assert usual is not None
    assert np.array_equal(turned, usual)


def test_a_padded_layout_is_divided_by_its_nonzero_entries() -> None:
    match = match_claim([toy.record(toy.documents, DESIGN.tokens)], DESIGN.targets)
    assert match is not None
    assert match.divisor in {"nonzero", "targets"}


def test_tokens_that_cost_nothing_are_scores_too() -> None:
    values = np.concatenate([event.values for event in toy.record(toy.plain, DESIGN.tokens).events[1:]])
    sure = np.where(np.arange(values.size) % 4, 0.0, values)
    claim = Line(9, f"final_exact val_loss:{sure.mean():.8f}")
    match = match_claim([replace(BASE, events=(Event(toy.SITE, sure, 1),), lines=(claim,))], DESIGN.targets)
    assert match is not None
    assert match.divisor == "entries"


def test_a_returned_number_is_a_claim() -> None:
    values = np.concatenate(list(toy.sliding(DESIGN.tokens)))
    call = replace(BASE, lines=(), returned=(float(values.mean() * 1.7), float(values.mean())))
    match = match_claim([call], DESIGN.targets)
    assert match is not None
    assert match.claim.label == "returned[1]"


def test_the_claimed_label_wins_over_a_later_line() -> None:
    plain = toy.record(toy.plain, DESIGN.tokens)
    later = [Event(Site("sum", "train_gpt.py", "other", 50, 1), e.values, 100 + e.order) for e in plain.events[1:]]
    line = Line(200, plain.lines[0].text.replace("final_int8_zlib_roundtrip_exact", "diagnostic"))
    both = replace(BASE, events=(*BASE.events, *later), lines=(*BASE.lines, line))
    last, named = match_claim([both], 256), match_claim([both], 256, labels=frozenset({"final_int8_zlib_roundtrip"}))
    assert last is not None
    assert named is not None
    assert (last.site.function, named.site.function) == ("other", "evaluate")


def test_a_coincidence_in_one_run_does_not_survive_the_next() -> None:
    """Another site reproduces the first run's score, and no other's."""
    match = match_claim([BASE], DESIGN.targets)
    assert match is not None
    stranger = Site("cross-entropy", "train_gpt.py", "train", 3, 1)
    decoy = Event(stranger, np.full(256, match.claim.loss), len(BASE.events) - 1)
    other = toy.record(toy.sliding, DESIGN.apply(Change("rewrite", 165)))
    runs = [replace(run, events=(decoy, *run.events)) for run in (BASE, other)]
    found = match_claim(runs, DESIGN.targets)
    assert found is not None
    assert found.site == toy.SITE


def test_bits_per_byte_alone_are_traced_through_the_counted_bytes() -> None:
    losses = np.concatenate(list(toy.plain(DESIGN.tokens)))
    counted = (DESIGN.tokens[1:] % 5 + 1).astype(float)
    bpb = losses.sum() / np.log(2.0) / counted.sum()
    events = (Event(toy.SITE, losses, 0), Event(replace(toy.SITE, line=43), counted, 1))
    run = Recording("ok", "", "main", events, (Line(2, f"final val_bpb: {bpb:.6f}"),))
    match = match_claim([run], DESIGN.targets)
    assert match is not None
    assert match.site == toy.SITE


def _twice_in_batches(tokens: toy.Tokens) -> Recording:
    """Batches of two windows, gone over twice; what the second time gives is added up for each batch."""
    parts = Site("accumulate", "train_gpt.py", "evaluate", 44, 3)
    losses = [np.asarray(item, np.float64) for item in toy.plain(tokens)]
    events: list[Event] = []
    for batch in (losses[:2], losses[2:]):
        events += [
            Event(toy.SITE, item * scale, len(events) + n) for scale in (1.5, 1.0) for n, item in enumerate(batch)
        ]
        events.append(Event(parts, np.array([sum(item.sum() for item in batch)]), len(events)))
    events = [replace(event, order=order) for order, event in enumerate(events)]
    line = Line(len(events), f"final val_loss:{np.concatenate(losses).mean():.8f}")
    return Recording("ok", "", "main", tuple(events), (line,))


def test_what_is_added_up_batch_by_batch_is_traced_to_the_last_time_over_each() -> None:
    """The kept reductions are no suffix of all: the first time over the second batch lies between them."""
    base, other = (_twice_in_batches(DESIGN.apply(change)) for change in (Change("base"), Change("rewrite", 165)))
    match = match_claim([base, other], DESIGN.targets)
    assert match is not None
    assert match.parts == ((toy.SITE, range(2, 4)), (toy.SITE, range(6, 8)))
    vector = entries(base, match)
    assert vector is not None
    assert vector == pytest.approx(np.concatenate(list(toy.plain(DESIGN.tokens))))


def _first_windows_again(tokens: toy.Tokens) -> Recording:
    """A second pass over the first two windows, whose losses take the place of the first pass's."""
    first = [np.asarray(item, np.float64) for item in toy.plain(tokens)]
    again = [np.asarray(item, np.float64) for item, _ in zip(toy.two_pass(tokens), range(2), strict=False)]
    second = replace(toy.SITE, line=60)
    events = [Event(toy.SITE, item, order) for order, item in enumerate(first)]
    events += [Event(second, item, 4 + order) for order, item in enumerate(again)]
    total = sum(item.sum() for item in (*again, *first[2:]))
    return Recording("ok", "", "main", tuple(events), (Line(6, f"final val_loss:{total / 256:.8f}"),))


def test_losses_put_in_place_of_others_are_traced_to_both_passes() -> None:
    base, other = (_first_windows_again(DESIGN.apply(change)) for change in (Change("base"), Change("rewrite", 165)))
    match = match_claim([base, other], DESIGN.targets)
    assert match is not None
    assert match.parts == ((replace(toy.SITE, line=60), range(2)), (toy.SITE, range(2, 4)))


@pytest.mark.parametrize(
    "text", ["step:2/10 train_loss:2.5", "ttt_gain_bpb:0.01", "elapsed: 3.5 s", "step 3 loss: 2.1 train"]
)
def test_other_numbers_are_no_claims(text: str) -> None:
    assert claims(replace(BASE, lines=(Line(500, text),))) == ()
