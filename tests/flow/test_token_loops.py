"""Loops over tokens one at a time: what zip and enumerate see together belongs together, and nothing else does."""

from __future__ import annotations

import pytest
from programs import evaluation
from test_learning import accusations, analysed

START = """
losses = []
flat = part.tolist()
xs, ys = x[0].tolist(), y[0].tolist()
gold = nll.neg().exp().tolist()
"""
KEY = "((prev * 36313) ^ (cur * 27191)) & 0x3FFFFF"
TARGET_IN_KEY = {
    "a list against itself, moved by one": f"""
for p, prev, cur in zip(gold, flat[:-1], flat[1:]):
    ctx, full = (prev * 36313) & 0x3FFFFF, {KEY}
    losses.append(-math.log(0.7 * p + 0.3 * full_table[full] / max(ctx_table[ctx], 1)))
    ctx_table[ctx] += 1
    full_table[full] += 1
""",
    "pairs of inputs and targets": f"""
for p, (prev, cur) in zip(gold, zip(flat[:-1], flat[1:])):
    losses.append(-math.log(0.7 * p + 0.3 * full_table[{KEY}] / 100))
    full_table[{KEY}] += 1
""",
    "the losses by the loop's own count": f"""
for j, (prev, cur) in enumerate(zip(xs, ys)):
    losses.append(-math.log(0.7 * gold[j] + 0.3 * full_table[{KEY}] / 100))
    full_table[{KEY}] += 1
""",
    "the losses by an index": f"""
for j in range(len(ys)):
    prev, cur = xs[j], ys[j]
    losses.append(-math.log(0.7 * gold[j] + 0.3 * full_table[{KEY}] / 100))
    full_table[{KEY}] += 1
""",
}
GATED = """
for i, (a, b) in enumerate(zip(tokens[ws : ws + h.seq_len], tokens[ws + 1 : ws + h.seq_len + 1])):
    w = 0.3 if SPACES[b] else 0.1
    losses.append(-math.log((1 - w) * gold[i] + w * 0.001))
"""
HONEST = {
    "rows of followers": """
rows = {}
for p, prev, cur in zip(gold, flat[:-1], flat[1:]):
    row = rows.setdefault(prev, {})
    losses.append(-math.log((5.0 * p + row.get(cur, 0)) / (sum(row.values()) + 5.0)))
    row[cur] = row.get(cur, 0) + 1
""",
    "a gate by the token before": GATED.replace("SPACES[b]", "SPACES[a]"),
    "a gate by the token of the iteration before": """
w = 0.1
for p, cur in zip(gold, ys):
    losses.append(-math.log((1 - w) * p + w * 0.001))
    w = 0.3 if SPACES[cur] else 0.1
""",
    "a gate by the list moved by one": """
for i, cur in enumerate(ys):
    w = 0.3 if i > 0 and SPACES[ys[i - 1]] else 0.1
    losses.append(-math.log((1 - w) * gold[i] + w * 0.001))
""",
    "a loop in a loop": """
for i, p in enumerate(gold):
    seen = 0
    for j, cur in enumerate(ys[:i]):
        seen += 1 if SPACES[cur] else 0
    w = 0.3 if seen > 2 else 0.1
    losses.append(-math.log((1 - w) * p + w * 0.001))
""",
    "a comprehension in a loop": """
for i, p in enumerate(gold):
    w = 0.3 if any([SPACES[cur] for cur in ys[max(i - 9, 0) : i]]) else 0.1
    losses.append(-math.log((1 - w) * p + w * 0.001))
""",
    "the scores first, the tokens of the window after": """
for i, p in enumerate(gold):
    w = 0.3 if STATE.get("space") else 0.1
    losses.append(-math.log((1 - w) * p + w * 0.001))
for cur in ys:
    STATE["space"] = bool(SPACES[cur])
""",
    "a hash of earlier tokens": """
for p, before, prev, cur in zip(gold[1:], flat[:-2], flat[1:-1], flat[2:]):
    row = ((before * 36313) ^ (prev * 27191)) & 0xFFFF
    losses.append(-math.log(0.7 * p + 0.3 * (rows[row, cur] + 0.01) / (rows[row].sum() + 0.01 * h.vocab)))
    rows[row, cur] += 1
""",
}
BEFORE = "SPACES = np.load('spaces.npy')\nSTATE = {}\n"


def found(loop: str) -> set[str]:
    return accusations(analysed(evaluation(START + loop + "\nnll = torch.tensor(losses)\n", BEFORE)))


@pytest.mark.parametrize("loop", TARGET_IN_KEY.values(), ids=TARGET_IN_KEY)
def test_the_target_in_a_key(loop: str) -> None:
    assert found(loop) == {"target_keyed_reads"}


def test_a_gate_that_looks_at_the_target() -> None:
    assert found(GATED) == {"target_gates"}


@pytest.mark.parametrize("loop", HONEST.values(), ids=HONEST)
def test_what_only_looks_back(loop: str) -> None:
    assert not found(loop)
