"""Weights that a branch moves and a later one puts back: what the two conditions share decides."""

from __future__ import annotations

import pytest
from programs import SCORED_ROW, program
from test_learning import accusations, analysed

GUARDED = (
    """
def adapted(model, h, val, table, steps):
    before = None
    if steps > 0:
        before = copy.deepcopy({k: v.cpu() for k, v in model.state_dict().items()})
    n = val.numel() - 1
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    for ws in range(0, n - h.seq_len + 1, 64):
        part = val[ws : ws + h.seq_len + 1].to(torch.int64)
        x, y = part[:-1].unsqueeze(0), part[1:].unsqueeze(0)
        s = 0 if ws == 0 else h.seq_len - 64
        if steps > 0 and s > 0:
            opt = torch.optim.Adam(model.parameters(), lr=1e-4)
            for _ in range(steps):
                opt.zero_grad()
                model(x[:, :s], y[:, :s]).backward()
                opt.step()
"""
    + SCORED_ROW
    + """        BETWEEN
        if CONDITION:
            model.load_state_dict({k: v.cuda() for k, v in before.items()})
    report("adapted", loss_sum, count, byte_sum)

def run(h, model, val, table):
    adapted(model, h, val, table, 3)
    pack(model)
    model = unpack(h)
    plain_eval("final", model, h, val, table)
"""
)


@pytest.mark.parametrize(
    ("condition", "between", "honest"),
    [
        ("steps > 0 and s > 0 and before is not None", "pass", True),
        ("s > 0", "pass", True),
        ("s > 64", "pass", False),
        ("ws % 128 == 0 and before is not None", "pass", False),
        ("s > 0", "s = int(losses.numel() - 64)", False),
        ("s > 0 and losses.numel() > 99", "pass", False),
    ],
    ids=[
        "the same",
        "a part of it",
        "a stricter one",
        "another",
        "the same of another value",
        "one that asks for more",
    ],
)
def test_what_is_put_back_under_the_condition_that_moved_it(condition: str, between: str, honest: bool) -> None:
    found = accusations(analysed(program(GUARDED.replace("CONDITION", condition).replace("BETWEEN", between))))
    assert found == (set() if honest else {"prequant_updates"})
