"""A bias fitted to the context of a window, which then scores the rest: which positions a slice of one row means."""

from __future__ import annotations

import pytest
from programs import SCORED_ROW, program
from test_learning import accusations, analysed

SHIFTED = """
class Shifted(GPT):
    def hidden(self, x):
        pairs = torch.zeros_like(x)
        pairs[..., 1:] = (x[..., 1:] * 31 + x[..., :-1]) % 1024
        return super().hidden(x) + self.emb(pairs)

"""
LOADED = """    model = Shifted(h)
    model.load_state_dict(torch.load("final_model.pt"))
"""
"""A model that sets tokens beside each other, in place of the plain one."""
BIAS = """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    n = val.numel() - 1
    starts = [ws for ws in range(0, n, 64) if min(ws + h.seq_len, n) - ws >= 1]
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    bias = torch.zeros(h.vocab)
    for begin in range(0, len(starts), 8):
        batch = starts[begin : begin + 8]
        xs = torch.zeros(len(batch), h.seq_len, dtype=torch.int64)
        ys = torch.zeros(len(batch), h.seq_len, dtype=torch.int64)
        lengths = []
        for i, ws in enumerate(batch):
            end = min(ws + h.seq_len, n)
            lengths.append(end - ws)
            part = val[ws : end + 1].to(torch.int64)
            xs[i, : end - ws], ys[i, : end - ws] = part[:-1], part[1:]
        with torch.no_grad():
            logits = model.logits(xs)
        for i, ws in enumerate(batch):
            length = lengths[i]
            s = 0 if ws == 0 else max(length - 64, 0)
            z, y = ROWS
            if s > 0:
                b = bias.clone().requires_grad_(True)
                opt = torch.optim.SGD([b], lr=0.05)
                for _ in range(5):
                    opt.zero_grad()
                    F.cross_entropy(z[FITTED] + b, y[FITTED]).backward()
                    opt.step()
                bias = b.detach().clamp(-3.0, 3.0)
            loss_sum += F.cross_entropy(z[s:length] + bias, y[s:length], reduction="none").sum()
            count += length - s
            byte_sum += table[y[s:length]].sum()
    report("final", loss_sum, count, byte_sum)
"""
ROWS = {
    "cut": "logits[i, :length], ys[i, :length]",
    "copied": "logits[i, 0:length].float().clone(), ys[i, :length]",
    "of known axes": "logits.view(len(batch), h.seq_len, h.vocab)[i], ys[i]",
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.parametrize(
    ("fitted", "found"),
    [(":s", set()), (":length", {"slot_updates"}), ("s:length", {"slot_updates"}), ("1:", {"slot_updates"})],
    ids=["the context", "the window", "what is scored", "all but one"],
)
def test_a_slice_of_one_window_cuts_its_positions(rows: str, fitted: str, found: set[str]) -> None:
    text = BIAS.replace("ROWS", rows).replace("FITTED", fitted)
    assert accusations(analysed(program(text))) == found
    shifted = SHIFTED + text.replace("    model = unpack(h)\n", LOADED)
    assert accusations(analysed(program(shifted))) == found


def test_a_slice_that_begins_elsewhere_is_not_counted_from_the_first_position() -> None:
    text = BIAS.replace("ROWS", "logits[i, s:], ys[i, s:]").replace("FITTED", ":s")
    text = text.replace("z[s:length]", "z").replace("y[s:length]", "y")
    assert accusations(analysed(program(text))) == {"slot_updates"}


CONTEXT = (
    """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    before = {k: v.cpu() for k, v in model.state_dict().items()}
    n = val.numel() - 1
    stride = h.stride if hasattr(h, "stride") and val.numel() > 99 else 64
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for ws in range(0, n - h.seq_len + 1, stride):
        part = val[ws : ws + h.seq_len + 1].to(torch.int64)
        x, y = part[:-1]BATCH, part[1:]BATCH
        s = 0 if ws == 0 else h.seq_len - stride
        opt = torch.optim.Adam(model.parameters(), lr=1e-4)
        for _ in range(3):
            opt.zero_grad()
            model(x[:, FITTED], y[:, FITTED]).backward()
            opt.step()
"""
    + SCORED_ROW
    + """        model.load_state_dict({k: v.cuda() for k, v in before.items()})
    report("final", loss_sum, count, byte_sum)
"""
)
BATCH = {"unsqueezed": ".unsqueeze(0)", "a new axis": "[None]", "reshaped": ".reshape(1, -1)"}


@pytest.mark.parametrize("batch", BATCH.values(), ids=BATCH)
@pytest.mark.parametrize(
    ("fitted", "honest"),
    [(":s", True), (":", False), ("s:", False), ("1:", False)],
    ids=["the context", "the window", "what is scored", "all but one"],
)
def test_weights_fitted_to_the_context_of_one_window_score_the_rest(batch: str, fitted: str, honest: bool) -> None:
    """Neighbours inside the model are cut out of what it is given, and the losses of one row are in its order."""
    text = SHIFTED + CONTEXT.replace("BATCH", batch).replace("FITTED", fitted).replace(
        "    model = unpack(h)\n", LOADED
    )
    assert accusations(analysed(program(text))) == (set() if honest else {"updates_before_score"})


def test_the_losses_of_several_rows_are_not_one_window() -> None:
    text = CONTEXT.replace("BATCH", ".reshape(-1, h.seq_len // 4)").replace("FITTED", ":s")
    assert accusations(analysed(program(text))) == {"updates_before_score"}
