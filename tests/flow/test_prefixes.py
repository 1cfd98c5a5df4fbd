"""Counts of the text before a rank's first window: no second pass, though that rank has not scored it."""

from __future__ import annotations

import textwrap

import pytest
from programs import program
from test_learning import analysed

from auditor.flow import Certainty

RANKS = """
class Pairs:
    def __init__(self, vocab):
        self.rows = np.zeros((vocab, vocab), dtype=np.int64)
        self.sums = np.zeros(vocab, dtype=np.int64)

    def add(self, tokens, first, last):
        for k in range(1, 2):
            context = tokens[first - k : last - k]
        np.add.at(self.rows, (context, tokens[first:last]), 1)
        np.add.at(self.sums, context, 1)

    def add_at(self, tokens, positions):
        np.add.at(self.rows, (tokens[positions - 1], tokens[positions]), 1)
        np.add.at(self.sums, tokens[positions - 1], 1)

    def probability(self, tokens, positions):
        known = self.sums[tokens[positions - 1]]
        return self.rows[tokens[positions - 1], tokens[positions]] / np.maximum(known, 1), known > 0

def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    rank, ranks = dist.get_rank(), dist.get_world_size()
    n = val.numel() - 1
    tokens = val[: n + 1].numpy()
    starts = [ws for ws in range(0, n, 64) if min(ws + h.seq_len, n) - ws >= 1]
    mine = starts[len(starts) * rank // ranks : len(starts) * (rank + 1) // ranks]
    counts = Pairs(h.vocab)
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    BEFORE
    for begin in range(0, len(mine), 8):
        for ws in mine[begin : begin + 8]:
            end = min(ws + h.seq_len, n)
            part = val[ws : end + 1].to(torch.int64)
            length = end - ws
            s = 0 if ws == 0 else max(length - 64, 0)
            logits = model.logits(part[:-1][None]).float()[0]
            p = F.cross_entropy(logits, part[1:], reduction="none").neg().exp()[s:length].numpy()
            positions = np.arange(ws + s + 1, ws + length + 1)
            chosen = np.nonzero(positions >= 1)[0]
            q, known = counts.probability(tokens, positions[chosen])
            p[known] = 0.8 * p[known] + 0.2 * q[known]
            loss_sum -= np.log(p).sum()
            count += length - s
            byte_sum += table[part[1:][s:]].sum()
            counts.add_at(tokens, positions[chosen])
    for total in (loss_sum, count, byte_sum):
        dist.all_reduce(total)
    report("final", loss_sum, count, byte_sum)
"""
UNTIL = {
    "at once": "counts.add(tokens, 1, LAST + 1)",
    "a copy": "seen = tokens[: LAST + 1]\ncounts.add(seen, 1, len(seen))",
    "in pieces": "for a in range(1, LAST, 4096):\n    counts.add(tokens, a, min(a + 4096, LAST))",
    "by positions": "counts.add_at(tokens, np.arange(1, LAST + max(h.seq_len - 64, 0), dtype=np.int64))",
}


def _prefilled(fill: str, last: str) -> set[Certainty]:
    text = f"if rank > 0 and mine:\n    last = {last}\n" + textwrap.indent(fill.replace("LAST", "last"), "    ")
    facts = analysed(program(RANKS.replace("    BEFORE\n", textwrap.indent(text, "    ") + "\n")))
    assert {name for name, _ in facts.found()} <= {"rescores"}
    return {evidence.certainty for evidence in facts.rescores}


@pytest.mark.parametrize("fill", UNTIL.values(), ids=UNTIL)
def test_text_before_the_first_window_is_no_second_pass(fill: str) -> None:
    assert Certainty.TRACED not in _prefilled(fill, "mine[0]")


@pytest.mark.parametrize("fill", UNTIL.values(), ids=UNTIL)
@pytest.mark.parametrize("last", ["n", "mine[-1] + h.seq_len"], ids=["the stream", "the last window"])
def test_what_is_scored_later_was_entered(fill: str, last: str) -> None:
    assert Certainty.TRACED in _prefilled(fill, last)


def test_the_first_window_itself_is_no_text_before_it() -> None:
    assert Certainty.TRACED in _prefilled("counts.add(tokens, last + 1, last + 64 * len(mine))", "mine[0]")


def test_nothing_is_entered_early() -> None:
    assert not _prefilled("pass", "mine[0]")
