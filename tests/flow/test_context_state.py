"""State fitted to the contexts of a batch of overlapping windows: what is apart from what is scored, and when."""

from __future__ import annotations

import pytest
from programs import evaluation, program
from test_learning import accusations, analysed

from auditor.flow import Certainty
from auditor.flow.affine import Affine, Numbering
from auditor.flow.spans import Apart, Span, apart

BATCHES = """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    stride, total = 64, val.numel() - 1
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    begins = [b for b in range(0, total, stride) if min(b + h.seq_len, total) - b >= 1]
    for k in range(0, len(begins), 32):
        batch = begins[k : k + 32]
        x = torch.zeros(len(batch), h.seq_len, dtype=torch.int64)
        y = torch.zeros(len(batch), h.seq_len, dtype=torch.int64)
        lengths = []
        for i, b in enumerate(batch):
            stop = min(b + h.seq_len, total)
            n = stop - b
            lengths.append(n)
            part = val[b : stop + 1].to(torch.int64)
            x[i, :n] = part[:-1]
            y[i, :n] = part[1:]
        z = model.logits(x)
        if GUARD:
            hidden = model.hidden(x).detach()
            seen = torch.zeros(len(batch), h.seq_len, dtype=torch.bool)
            for i, n in enumerate(lengths):
                seen[i, : FITTED] = True
            push = torch.zeros(ROWS, 1, 64, requires_grad=True)
            fit = torch.optim.AdamW([push], lr=0.01)
            for _ in range(8):
                fit.zero_grad()
                F.cross_entropy(model.head(hidden + push)[seen], y[seen]).backward()
                fit.step()
            z = model.head(hidden + push.detach())
        nll = F.cross_entropy(z.reshape(-1, h.vocab), y.reshape(-1), reduction="none").reshape(len(batch), h.seq_len)
        for i, b in enumerate(batch):
            n = lengths[i]
            s = 0 if b == 0 else max(n - stride, 0)
            loss_sum += nll[i, s:n].sum()
            count += n - s
            byte_sum += table[y[i, s:n]].sum()
    report("final", loss_sum, count, byte_sum)
"""
NOT_FIRST = "not any(b == 0 for b in batch)"
CONTEXT = "max(n - stride, 0)"


@pytest.mark.parametrize(
    ("guard", "fitted", "found"),
    [
        (NOT_FIRST, CONTEXT, None),
        ("k > 0 and all(b > 0 for b in batch)", CONTEXT, None),
        ("True", CONTEXT, Certainty.SUSPECTED),
        (NOT_FIRST, "max(n - stride, 0) + 1", Certainty.TRACED),
        (NOT_FIRST, "n", Certainty.TRACED),
    ],
    ids=["context", "context, said otherwise", "first window not spared", "one too many", "everything"],
)
def test_what_is_fitted_decides(guard: str, fitted: str, found: Certainty | None) -> None:
    text = BATCHES.replace("GUARD", guard).replace("FITTED", fitted).replace("ROWS", "1")
    facts = analysed(program(text))
    assert accusations(facts) == ({"slot_updates"} if found is Certainty.TRACED else set())
    assert [item.certainty for item in facts.slot_updates] == ([found] if found else [])


@pytest.mark.parametrize(("rows", "per_row"), [("1", False), ("x.shape[0]", True)])
def test_a_state_for_the_batch_is_told_from_one_for_each_window(rows: str, per_row: bool) -> None:
    text = BATCHES.replace("GUARD", NOT_FIRST).replace("FITTED", CONTEXT).replace("ROWS", rows)
    assert [item.per_row for item in analysed(program(text)).adaptations] == [per_row]


LAST = """
hidden = model.hidden(x).detach()
push = torch.zeros(x.shape[0], 1, 64, requires_grad=True)
fit = torch.optim.AdamW([push], lr=0.01)
for _ in range(8):
    fit.zero_grad()
    z = model.head(hidden + push)
    F.cross_entropy(z[:, :-FITTED].flatten(0, 1), y[:, :-FITTED].flatten()).backward()
    fit.step()
z = model.head(hidden + push.detach())
nll = F.cross_entropy(z[:, -64:].flatten(0, 1), y[:, -64:].flatten(), reduction="none")
"""


@pytest.mark.parametrize(("fitted", "found"), [(64, set()), (65, set()), (63, {"slot_updates"}), (1, {"slot_updates"})])
def test_offsets_from_the_end_are_compared(fitted: int, found: set[str]) -> None:
    assert accusations(analysed(evaluation(LAST.replace("FITTED", str(fitted))))) == found


def test_a_bound_that_is_one_of_two_is_taken_case_by_case() -> None:
    numbers = Numbering()
    begin, n = numbers.fresh(), numbers.fresh()
    bound = numbers.either(Affine(0), n, begin)
    context, rest = Span(Affine(0), n), Span(bound, None)
    assert apart(numbers, context, rest) is Apart.PARTLY
    assert apart(numbers, context._replace(nonzero=frozenset({begin})), rest) is Apart.YES
    assert apart(numbers, Span(Affine(0), bound), rest) is Apart.YES
    assert apart(numbers, Span(Affine(0), Affine(1)), Span(Affine(0), n)) is Apart.NO
    assert apart(numbers, context, Span(numbers.either(n, numbers.fresh()), None)) is Apart.PARTLY


def test_what_two_iterations_saw_reads_the_same_for_any() -> None:
    numbers = Numbering()
    begins, total = numbers.fresh(), numbers.fresh()

    def length(ordinal: int) -> Affine:
        begin = numbers.element(begins, ordinal)
        stop = begin.plus(Affine(64))
        assert stop is not None
        result = numbers.of(("min", stop, total)).plus(begin, -1)
        assert result is not None
        return result

    assert length(0) != length(1)
    assert numbers.general(length(0)) == numbers.general(length(1))
    assert numbers.general(numbers.either(length(0), length(1))) == numbers.general(length(0))
