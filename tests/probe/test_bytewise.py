"""Scores made byte by byte: found by their mean, put together by token, and summed over the vocabulary."""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import toy_scorers as toy
from toy_scorers import DESIGN, Tokens, V

from auditor.probe.accumulators import accumulators_in
from auditor.probe.bytewise import conventions
from auditor.probe.design import Change, call_changes
from auditor.probe.inside.accumulators import watch
from auditor.probe.inside.tap import TAP
from auditor.probe.measure import Measured, measure
from auditor.probe.record import Event, Line, Recording, Site
from auditor.probe.tokenizer import toy_tokenizer
from auditor.score_names import names_of

BITS = Site("numpy", "train_gpt.py", "mixture_bpb", 12, 4)
ORDER = 3
LABEL = frozenset({"mix_bpb"})


def pieces() -> list[bytes]:
    from sentencepiece import SentencePieceProcessor

    model = SentencePieceProcessor(model_proto=toy_tokenizer(V))
    return [model.id_to_piece(i).replace("\u2581", " ").encode() for i in range(V)]


PIECES = pieces()


def spread(tokens: Tokens, gate: float) -> npt.NDArray[np.float64]:
    """Bits per byte of a network whose loss is spread over a token's bytes, mixed with counts of bytes.

    Args:
        tokens: the stream.
        gate: confidence above which the counts weigh most; above one they never weigh anything.
    """
    losses = np.concatenate(list(toy.plain(tokens)))
    counts: defaultdict[bytes, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))
    seen, bits = b"", []
    for token, loss in zip(tokens[1:].tolist(), losses.tolist(), strict=True):
        for byte in PIECES[token]:
            context = counts[seen[-ORDER:]]
            total = sum(context.values())
            confidence = max(context.values(), default=0) / max(total, 1)
            weight = 0.8 if confidence >= gate else 0.0
            network = math.exp(-loss / len(PIECES[token]))
            bits.append(-math.log2((1 - weight) * network + weight * (context[byte] + 1 / 256) / (total + 1)))
            context[byte] += 1
            seen += bytes([byte])
    return np.array(bits)


def recorded(tokens: Tokens, gate: float, *, one_by_one: bool = False) -> Recording:
    """A run that prints the mixture's score, then the network's."""
    bits = spread(tokens, gate)
    plain = [Event(toy.SITE, each, order) for order, each in enumerate(toy.plain(tokens), 1)]
    loss = np.concatenate([event.values for event in plain]).mean()
    lines = (Line(9000, f"bytes={len(bits)} mix_bpb={bits.mean():.6f}"), Line(9001, f"sliding val_loss:{loss:.8f}"))
    parts = np.split(-bits, len(bits)) if one_by_one else [-bits]
    mixture = [Event(BITS, part, order) for order, part in enumerate(parts, 1000)]
    return Recording("ok", "", "main", (*plain, *mixture), lines, (), {})


def measured(gate: float, *, one_by_one: bool = False) -> Measured:
    changes = call_changes(DESIGN, DESIGN.positions[:2])
    found = measure(
        {change: recorded(DESIGN.apply(change), gate, one_by_one=one_by_one) for change in changes}, DESIGN, LABEL
    )
    assert isinstance(found, Measured), found
    return found


@pytest.mark.parametrize("one_by_one", [False, True], ids=["one sum", "byte by byte"])
def test_a_mixture_byte_by_byte_adds_up_to_more_than_one_over_tokens(one_by_one: bool) -> None:
    found = measured(0.5, one_by_one=one_by_one)
    assert found.match.site == BITS
    assert found.match.is_bytewise
    assert found.leaks == ()
    assert found.excesses


def returned(tokens: Tokens, gate: float) -> Recording:
    """The same from a call that returns both scores and prints neither."""
    run = recorded(tokens, gate)
    loss, bpb = (float(line.text.rpartition(sign)[2]) for line, sign in zip(run.lines[::-1], ":=", strict=True))
    return Recording("ok", "", "call", run.events, (), (loss, bpb), {})


def test_a_call_that_returns_both_scores_is_measured_by_the_one_that_is_claimed() -> None:
    runs = {change: returned(DESIGN.apply(change), 0.5) for change in call_changes(DESIGN, DESIGN.positions[:2])}
    loss, bpb = runs[Change("base")].returned
    of_loss = measure(runs, DESIGN, wanted=(loss, 1e-5), bytewise=False)
    of_mixture = measure(runs, DESIGN, wanted=(bpb, 1e-5), bytewise=True)
    assert isinstance(of_loss, Measured)
    assert isinstance(of_mixture, Measured)
    assert (of_loss.match.site, of_mixture.match.site) == (toy.SITE, BITS)
    assert (of_loss.excesses, bool(of_mixture.excesses)) == ((), True)


def test_a_line_with_the_networks_loss_and_the_mixtures_bits_wants_the_bits() -> None:
    def in_one_line(run: Recording) -> Recording:
        loss, bpb = (line.text.rpartition(sign)[2] for line, sign in zip(run.lines[::-1], ":=", strict=True))
        return replace(run, lines=(Line(9000, f"sliding val_loss:{loss} val_bpb:{bpb}"),))

    runs = {
        change: in_one_line(recorded(DESIGN.apply(change), 0.5)) for change in call_changes(DESIGN, DESIGN.positions)
    }
    found = measure(runs, DESIGN, frozenset({"sliding"}))
    assert isinstance(found, Measured)
    assert found.match.is_bytewise
    assert (found.score, found.wanted[0]) == (found.match.claim.bpb, found.match.claim.bpb)


def test_bits_per_byte_that_a_call_returns_are_not_taken_for_nats_per_token() -> None:
    runs = {change: returned(DESIGN.apply(change), 2.0) for change in call_changes(DESIGN, DESIGN.positions[:2])}
    found = measure(runs, DESIGN, wanted=(runs[Change("base")].returned[1], 1e-5), bytewise=True)
    assert isinstance(found, Measured)
    assert found.match.is_bytewise
    assert found.excesses == ()
    assert all(0.75 < total.total < 1.0 for total in found.totals)


def test_spreading_alone_is_still_a_distribution_over_tokens() -> None:
    found = measured(2.0)
    assert found.match.site == BITS
    assert found.excesses == ()
    assert all(0.75 < total.total < 1.0 for total in found.totals)


def test_losses_in_another_order_than_the_stream_prove_nothing() -> None:
    def backwards(tokens: Tokens) -> Recording:
        run = recorded(tokens, 0.5)
        events = tuple(Event(e.site, e.values[::-1], e.order) if e.site == BITS else e for e in run.events)
        return Recording("ok", "", "main", events, run.lines, (), {})

    changes = call_changes(DESIGN, DESIGN.positions[:1])
    found = measure({change: backwards(DESIGN.apply(change)) for change in changes}, DESIGN, LABEL)
    assert found == "which of the losses per byte are which token's could not be found out"


def test_every_convention_counts_each_target_once() -> None:
    tokens = DESIGN.apply(Change("base"))
    assert all(len(convention(tokens)) == DESIGN.targets for convention in conventions(V))


SUMS = """
import math

def mixture(values):
    ln = math.log; total = 0.0; count = 0
    for value in values:
        total -= ln(value); count += 1
    return total / count

def log(text):
    print(text)

def train(values):
    seconds = 0.0
    for value in values:
        seconds += value
        log(f"{value}")
        unit = value / math.log(2.0)
    return seconds
"""


def test_loops_that_add_up_logarithms_are_found() -> None:
    assert list(accumulators_in(ast.parse(SUMS))) == [("mixture", "total"), ("mixture", "count")]


def test_what_a_loop_adds_up_is_recorded_number_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace: dict[str, Callable[..., float]] = {}
    exec(compile(SUMS, "train_gpt.py", "exec"), namespace)
    watch(namespace, {"mixture": ["total", "count"], "absent": ["x"]})
    monkeypatch.setattr(TAP, "on", True)
    begin = TAP.order
    values = [0.5, 1.0, 0.25]
    assert namespace["mixture"](values) == pytest.approx(math.log(8.0) / 3)
    events = TAP.events_since(begin)
    total = [event.values.item() for event in events if event.site.offset == 0]
    assert total == pytest.approx([-math.log(value) for value in values])
    assert [event.values.item() for event in events if event.site.offset == 1] == [1.0, 1.0, 1.0]
    assert {(event.site.kind, event.site.function) for event in events} == {("plain", "mixture")}


def test_a_claim_is_a_number_of_one_run_or_their_mean() -> None:
    runs = [{b"mix_bpb": b"0.901916", b"nn_bpb": b"0.972941"}, {b"mix_bpb": b"0.901284", b"nn_bpb": b"0.971111"}]
    assert names_of((0.9019,), runs) == LABEL
    assert names_of((0.9016,), runs) == LABEL
    assert names_of((0.9016,), [*runs, runs[0]]) == LABEL  # one of the logs is kept twice
    assert names_of((0.5,), runs) == frozenset()
    assert names_of((0.5,), [{b"val_bpb": b"0.50000"}]) == frozenset()  # the name of every score is no name
