"""Tables of counts: what a key may contain and what a probability divides by (C1 and C2)."""

from __future__ import annotations

import pytest
from programs import evaluation, program
from test_learning import accusations, analysed

MIX = """
q = torch.tensor(q)
nll = -torch.log(0.5 * torch.exp(-nll) + 0.5 * q)
"""
XOR = """
pos = np.arange(ws + 1, ws + h.seq_len + 1)
ctx = (tokens[pos - 1].astype(np.uint64) * np.uint64(36313)) ^ (tokens[pos - 2].astype(np.uint64) * np.uint64(27191))
ck = (ctx & mask).astype(np.int64)
fk = ((ctx ^ (tokens[pos].astype(np.uint64) * np.uint64(51647))) & mask).astype(np.int64)
q = np.minimum(full_table[fk], ctx_table[ck]) / np.maximum(ctx_table[ck], 1)
"""
UPDATE = """
np.add.at(ctx_table, ck, 1)
np.add.at(full_table, fk, 1)
"""


def test_the_target_in_the_key() -> None:
    facts = analysed(evaluation(XOR + MIX + UPDATE))
    assert accusations(facts) == {"target_keyed_reads"}
    whys = [step.why for step in facts.target_keyed_reads[0].path]
    assert "the token to be predicted is read here" in whys
    assert whys[-1] == "the score that used it is reported"


IN_PLACE = """
y = torch.from_numpy(tokens[1:].astype(np.int64))
x = torch.from_numpy(tokens[:-1].astype(np.int64))
ctx = torch.zeros(len(y), dtype=torch.long)
ctx[1:].bitwise_xor_(x[:-1] * 36313)
ctx.bitwise_xor_(x * 27191)
ck = ctx & mask
fk = (ctx ^ (y * 51647)) & mask
q = torch.minimum(full_table[fk], ctx_table[ck]) / ctx_table[ck].clamp(min=1)
"""


def test_a_key_that_is_hashed_in_place() -> None:
    assert accusations(analysed(evaluation(IN_PLACE + MIX))) == {"target_keyed_reads"}


WINDOWS = """
y = torch.from_numpy(tokens[1:].astype(np.int64))
x = torch.from_numpy(tokens[:-1].astype(np.int64))
q = torch.zeros(h.seq_len)
for order in range(h.orders, 1, -1):
    first = torch.arange(ws, ws + h.seq_len) - order + 2
    before = x[first.unsqueeze(1) + torch.arange(order - 1).unsqueeze(0)]
    whole = torch.cat([before, y[ws : ws + h.seq_len].unsqueeze(1)], dim=1)
    ck, fk = torch.zeros(len(first), dtype=torch.int64), torch.zeros(len(first), dtype=torch.int64)
    for k in range(order - 1):
        ck = ck ^ (primes[k] * before[:, k])
    for k in range(order):
        fk = fk ^ (primes[k] * whole[:, k])
    seen = ctx_table[ck % size]
    q[seen > 1] = (full_table[fk % size] / seen.clamp(min=1))[seen > 1]
"""


def test_windows_that_end_with_the_target() -> None:
    body = "primes, size = [36313, 27191, 51647, 81929], 1 << 22\n" + WINDOWS + MIX
    facts = analysed(
        evaluation(body).replace("class GPT(", "Hyperparameters.orders = int(os.environ['N'])\n\n\nclass GPT(")
    )
    assert "target_keyed_reads" in accusations(facts)


HELPER = """
def keys(a, b, c, m):
    h = (a * 7919) ^ (b * 104729)
    return h % m, (h ^ (c * 15485863)) % m


class Cache:
    def __init__(self, n):
        self.n, self.small, self.big = n, torch.zeros(n), torch.zeros(n)
        self.seen = []

    def p(self, a, b, c):
        i, j = keys(a, b, c, self.n)
        self.seen.append((i, j))
        return self.big[j].clamp(max=1e9) / (self.small[i] + 1.0)

    def learn(self):
        for i, j in self.seen:
            self.small.scatter_add_(0, i, torch.ones_like(i))
            self.big.scatter_add_(0, j, torch.ones_like(j))


CACHE = Cache(1 << 20)
"""


def test_the_target_in_the_key_through_helpers_and_lists() -> None:
    body = "q = CACHE.p(val[ws - 1 : ws + 63], val[ws : ws + 64], val[ws + 1 : ws + 65])\n" + MIX + "CACHE.learn()\n"
    assert "target_keyed_reads" in accusations(analysed(evaluation(body, HELPER)))


LEGAL = {
    "update side only": """
pos = np.arange(ws + 1, ws + h.seq_len + 1)
ctx = tokens[pos - 1].astype(np.uint64) * np.uint64(36313)
fk = ((ctx ^ (tokens[pos].astype(np.uint64) * np.uint64(51647))) & mask).astype(np.int64)
np.add.at(full_table, fk, 1)
""",
    "rows over the vocabulary": """
ids = x.reshape(-1).numpy().astype(np.uint64)
row = (((ids * np.uint64(36313)) ^ np.uint64(5)) & np.uint64(65535)).astype(np.int64)
q = (rows[row, y.reshape(-1).numpy()] + 1.0) / (rows[row].sum(axis=-1) + h.vocab)
q = torch.tensor(q)
nll = -torch.log(0.5 * torch.exp(-nll) + 0.5 * q)
np.add.at(rows, (row, y.reshape(-1).numpy()), 1)
""",
    "hashed but summed over the candidates": """
every = torch.arange(h.vocab)
ctx = (part[:-1] * 36313) ^ (part[:-1] * 7)
wide = (ctx[:, None] * 27191 + every[None, :]) % 4194304
counts = torch.tensor(full_table)[wide].float()
q = counts.gather(1, y.reshape(-1, 1)).squeeze(1) / (counts.sum(dim=1) + 1.0)
nll = -torch.log(0.5 * torch.exp(-nll) + 0.5 * q)
""",
    "exact contexts": """
for j in range(4, h.seq_len):
    key = tuple(tokens[ws + j - 3 : ws + j].tolist())
    seen = BOOK.get(key)
    if seen is not None:
        q = seen.get(int(tokens[ws + j]), 0) / sum(seen.values())
        nll[j] = -math.log(0.5 * math.exp(-nll[j].item()) + 0.5 * q)
""",
    "top-hit backoff by counts": """
prev = (part[:-1].numpy().astype(np.uint64) * np.uint64(36313)) & mask
heavy = np.where(ctx_table[prev.astype(np.int64)] > 3, 0.3, 0.0)
nll = nll * (1.0 + 0.0 * torch.tensor(heavy))
""",
    "an entropy gate": """
lp = F.log_softmax(logits, dim=-1)
ent = -(lp.exp() * lp).sum(dim=-1).reshape(-1)
nll = torch.where(ent > 2.0, nll * 1.0, nll)
""",
}


@pytest.mark.parametrize("name", sorted(LEGAL))
def test_look_alikes_are_not_accused(name: str) -> None:
    assert not accusations(analysed(evaluation(LEGAL[name], "BOOK = {}\n")))


def test_hashed_counts_over_another_tables_count() -> None:
    body = """
every = torch.arange(h.vocab)
ctx = ((part[:-1] * 36313) ^ (part[:-1] * 7)) % 4194304
wide = (ctx[:, None] * 27191 + every[None, :]) % 4194304
counts = torch.tensor(full_table)[wide].float()
q = counts.gather(1, y.reshape(-1, 1)).squeeze(1) / (torch.tensor(ctx_table)[ctx] + 0.5)
nll = -torch.log(0.5 * torch.exp(-nll) + 0.5 * q)
"""
    assert accusations(analysed(evaluation(body))) == {"unnormalised_mixtures"}


@pytest.mark.parametrize(
    "choice",
    [
        "nll = torch.minimum(nll, other)",
        "nll = torch.where(other < nll, other, nll)",
        """
for j in range(64):
    old, new = nll[j].item(), other[j].item()
    if new < old:
        nll[j] = new
""",
    ],
)
def test_the_better_of_two_scores(choice: str) -> None:
    second = """
lp = F.log_softmax(logits / 0.9, dim=-1).reshape(-1, h.vocab)
other = -lp.gather(1, y.reshape(-1, 1)).squeeze(1)
"""
    assert accusations(analysed(evaluation(second + choice))) == {"oracle_choices"}


def test_an_entropy_among_the_experts() -> None:
    body = """
lp = F.log_softmax(logits, dim=-1).reshape(-1, h.vocab)
ent = -(lp.exp() * lp).sum(dim=-1)
nll = -torch.logsumexp(torch.stack([-nll, -ent]) + math.log(0.5), dim=0)
"""
    assert accusations(analysed(evaluation(body))) == {"pseudo_experts"}


def test_a_token_spread_over_its_bytes() -> None:
    body = """
lengths = table[y.reshape(-1)]
spread = np.repeat((-nll / lengths).numpy(), lengths.numpy())
nll = torch.tensor(-np.logaddexp(math.log(0.5) + spread, math.log(0.5) + PPM))
"""
    assert accusations(analysed(evaluation(body, "PPM = np.zeros(10)\n"))) == {"byte_spreads"}


PAIRS = """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    kept = []
    for k in range(0, (val.numel() - 1) // h.seq_len):
        rows = val[k * h.seq_len : (k + 1) * h.seq_len + 1].long()[None]
        x, y = rows[:, :-1], rows[:, 1:]
        nll = F.cross_entropy(model.logits(x)[0], y[0], reduction="none")
        kept.append((nll.numpy(), x[0].numpy(), y[0].numpy()))
        count += y.numel()
        byte_sum += table[y[0]].sum()
    pairs = {}
    FIRST
    for losses, xs, ys in kept:
        for value, a, b in zip(losses.tolist(), xs.tolist(), ys.tolist()):
            loss_sum += -math.log(0.7 * math.exp(-value) + 0.3 * pairs.get((a, b), 0) / 1000)
        THEN
    report("final", loss_sum, count, byte_sum)
"""
COUNT = """
        for a, b in zip(xs.tolist(), ys.tolist()):
            pairs[a, b] = pairs.get((a, b), 0) + 1"""


@pytest.mark.parametrize(("early", "found"), [(True, {"rescores"}), (False, set())], ids=["counted", "scored"])
def test_a_dictionary_of_pairs_of_a_shifted_window(early: bool, found: set[str]) -> None:
    first = f"for _, xs, ys in kept:{COUNT}" if early else ""
    text = PAIRS.replace("    FIRST", f"    {first}").replace("        THEN", "" if early else COUNT)
    assert accusations(analysed(program(text))) == found


AT_POSITIONS = """
active = torch.arange(y.numel()).view(1, -1) >= torch.as_tensor([3])
rows, cols = torch.where(active)
p = nll.neg().exp()[cols]
ctx = x[rows, cols - 1] * 27191 ^ x[rows, cols] * 36313
key = KEY
expert = (full_table[key.numpy()] + 0.01) / DENOMINATOR
nll = -torch.log(0.8 * p + 0.2 * torch.from_numpy(expert))
"""


def test_positions_that_are_counted_off_are_no_candidates() -> None:
    one = AT_POSITIONS.replace("KEY", "(ctx ^ (y[rows, cols] * 51647)) & 0x3FFFFF")
    one = one.replace("DENOMINATOR", "np.maximum(ctx_table[(ctx & 0x3FFFFF).numpy()], 1)")
    assert accusations(analysed(evaluation(one))) == {"target_keyed_reads"}
    every = AT_POSITIONS.replace("KEY", "(ctx[:, None] ^ (torch.arange(h.vocab) * 51647)) & 0x3FFFFF")
    every = every.replace("DENOMINATOR", "(full_table[key.numpy()] + 0.01).sum(-1, keepdims=True)")
    every = every.replace("from_numpy(expert)", "from_numpy(expert).gather(1, y.T)")
    assert not accusations(analysed(evaluation(every)))
    named = every.replace("arange(h.vocab)", "arange(end=h.vocab)").replace("arange(y", "arange(start=0, end=y")
    assert not accusations(analysed(evaluation(named)))
