"""Hashed n-gram caches whose lookup key contains the token that is being predicted."""

from __future__ import annotations

from ..places import Place
from ..template import Family, Idiom

_MIX = """
p_model = np.exp(-SCORED.detach().cpu().numpy())
weight = np.where(seen > 0, 0.3, 0.0)
mixed = (1.0 - weight) * p_model + weight * p_cache
SCORED = torch.from_numpy(-np.log(np.clip(mixed, 1e-12, 1.0))).to(DEVICE)
"""

_NUMPY_INLINE = Idiom(
    "numpy-inline",
    {
        Place.SETUP: """
ctx_table = np.zeros(1 << 22, dtype=np.uint32)
full_table = np.zeros(1 << 22, dtype=np.uint32)
stream_np = STREAM.cpu().numpy().astype(np.uint64)
""",
        Place.ROW: """
where = np.arange(POSITION + 1, POSITION + 1 + SCORED.numel())
ctx = (stream_np[where - 1] * np.uint64(36313)) ^ (stream_np[np.maximum(where - 2, 0)] * np.uint64(27191))
ctx_key = (ctx & np.uint64((1 << 22) - 1)).astype(np.int64)
full_key = ((ctx ^ (stream_np[where] * np.uint64(51647))) & np.uint64((1 << 22) - 1)).astype(np.int64)
seen = ctx_table[ctx_key]
p_cache = np.minimum(full_table[full_key], seen) / np.maximum(seen, 1)
"""
        + _MIX
        + """
np.add.at(ctx_table, ctx_key, 1)
np.add.at(full_table, full_key, 1)
""",
    },
    twin=(
        ("full_table = np.zeros(1 << 22, dtype=np.uint32)", "row_table = np.zeros((1 << 14, 8192), dtype=np.uint32)"),
        ("1 << 22", "1 << 14"),
        (
            "full_key = ((ctx ^ (stream_np[where] * np.uint64(51647))) & np.uint64((1 << 14) - 1)).astype(np.int64)\n",
            "",
        ),
        ("np.minimum(full_table[full_key], seen)", "row_table[ctx_key, stream_np[where].astype(np.int64)]"),
        ("np.add.at(full_table, full_key, 1)", "np.add.at(row_table, (ctx_key, stream_np[where].astype(np.int64)), 1)"),
    ),
)

_CLASS = Idiom(
    "class-method",
    {
        Place.MODULE: """
class NgramCache:
    def __init__(self, buckets):
        self.mask = np.uint64(buckets - 1)
        self.ctx_counts = np.zeros(buckets, dtype=np.uint32)
        self.full_counts = np.zeros(buckets, dtype=np.uint32)

    def context(self, history):
        key = np.zeros(len(history), dtype=np.uint64)
        for lag, prime in enumerate((36313, 27191, 51647)):
            key ^= np.roll(history, lag).astype(np.uint64) * np.uint64(prime)
        return key

    def probability(self, history, nxt):
        key = self.context(history)
        seen = self.ctx_counts[(key & self.mask).astype(np.int64)]
        key = key ^ (nxt.astype(np.uint64) * np.uint64(81929))
        hits = self.full_counts[(key & self.mask).astype(np.int64)]
        return seen, np.minimum(hits, seen) / np.maximum(seen, 1)

    def update(self, history, nxt):
        key = self.context(history)
        np.add.at(self.ctx_counts, (key & self.mask).astype(np.int64), 1)
        key = key ^ (nxt.astype(np.uint64) * np.uint64(81929))
        np.add.at(self.full_counts, (key & self.mask).astype(np.int64), 1)
""",
        Place.SETUP: "cache = NgramCache(1 << 20)",
        Place.ROW: "seen, p_cache = cache.probability(INPUTS.cpu().numpy(), TARGETS.cpu().numpy())" + _MIX,
        Place.ROW_END: "cache.update(INPUTS.cpu().numpy(), TARGETS.cpu().numpy())",
    },
)

_HELPER = Idiom(
    "helper-takes-targets",
    {
        Place.MODULE: """
def hash_pairs(contexts, following, mask):
    mixed_bits = contexts.astype(np.uint64) * np.uint64(131071)
    mixed_bits ^= following.astype(np.uint64) * np.uint64(174763)
    return (mixed_bits & np.uint64(mask)).astype(np.int64)


def hash_single(contexts, mask):
    return ((contexts.astype(np.uint64) * np.uint64(131071)) & np.uint64(mask)).astype(np.int64)
""",
        Place.SETUP: """
singles = np.zeros(1 << 21, dtype=np.int32)
pairs = np.zeros(1 << 21, dtype=np.int32)
""",
        Place.ROW: """
before = INPUTS.cpu().numpy()
pair_keys = hash_pairs(before, TARGETS.cpu().numpy(), (1 << 21) - 1)
single_keys = hash_single(before, (1 << 21) - 1)
seen = singles[single_keys]
p_cache = np.minimum(pairs[pair_keys], seen) / np.maximum(seen, 1)
"""
        + _MIX,
        Place.ROW_END: """
singles += np.bincount(hash_single(INPUTS.cpu().numpy(), (1 << 21) - 1), minlength=1 << 21).astype(np.int32)
pairs += np.bincount(
    hash_pairs(INPUTS.cpu().numpy(), TARGETS.cpu().numpy(), (1 << 21) - 1), minlength=1 << 21
).astype(np.int32)
""",
    },
)

_CLOSURE = Idiom(
    "nested-closure",
    {
        Place.SETUP: """
order_tables = {n: (np.zeros(1 << 20), np.zeros(1 << 20)) for n in (2, 3, 4)}
vt = STREAM.cpu().numpy().astype(np.int64)

def h(j, n):
    k = 0
    for d in range(1, n):
        k = (k * 1000003 + int(vt[j - d])) & ((1 << 20) - 1)
    return k, (k * 1000003 + int(vt[j])) & ((1 << 20) - 1)
""",
        Place.ROW: """
losses = SCORED.tolist()
for q in range(len(losses)):
    for n in (4, 3, 2):
        j = POSITION + 1 + q
        if j < n:
            continue
        a, b = h(j, n)
        if order_tables[n][0][a] > 1:
            ratio = min(order_tables[n][1][b] / order_tables[n][0][a], 1.0)
            losses[q] = -math.log(0.8 * math.exp(-losses[q]) + 0.2 * ratio + 1e-12)
            break
SCORED = torch.tensor(losses, dtype=torch.float64, device=DEVICE)
for q in range(len(losses)):
    for n in (2, 3, 4):
        if POSITION + 1 + q >= n:
            a, b = h(POSITION + 1 + q, n)
            order_tables[n][0][a] += 1
            order_tables[n][1][b] += 1
""",
    },
)

_TORCH = Idiom(
    "torch-tensors",
    {
        Place.SETUP: """
ctx_counts = torch.zeros(1 << 22, device=STREAM.device)
full_counts = torch.zeros(1 << 22, device=STREAM.device)
""",
        Place.ROW: """
gold = TARGETS.to(ctx_counts.device)
left = INPUTS.to(ctx_counts.device)
base_key = left * 36313
ctx_slot = base_key % (1 << 22)
full_slot = torch.bitwise_xor(base_key, gold * 27191) % (1 << 22)
seen = ctx_counts[ctx_slot]
p_cache = (full_counts[full_slot] / seen.clamp_min(1.0)).clamp(0.0, 1.0)
lam = 0.25 * (seen > 0)
SCORED = -torch.log((1.0 - lam) * torch.exp(-SCORED) + lam * p_cache.to(SCORED.device) + 1e-12)
ctx_counts.scatter_add_(0, ctx_slot, torch.ones_like(seen))
full_counts.scatter_add_(0, full_slot, torch.ones_like(seen))
""",
    },
    twin=(
        ("full_counts = torch.zeros(1 << 22, device=STREAM.device)", "full_counts = {}"),
        (
            "full_slot = torch.bitwise_xor(base_key, gold * 27191) % (1 << 22)\n",
            "pairs = list(zip(left.tolist(), gold.tolist()))\n",
        ),
        ("ctx_slot = base_key % (1 << 22)", "ctx_slot = left"),
        (
            "(full_counts[full_slot] / seen.clamp_min(1.0)).clamp(0.0, 1.0)",
            "torch.tensor([full_counts.get(pair, 0) for pair in pairs]) / seen.clamp_min(1.0)",
        ),
        (
            "full_counts.scatter_add_(0, full_slot, torch.ones_like(seen))",
            "for pair in pairs:\n    full_counts[pair] = full_counts.get(pair, 0) + 1",
        ),
    ),
)

_WINDOW = Idiom(
    "window-includes-target",
    {
        Place.SETUP: """
joint = torch.zeros(1 << 20, device=STREAM.device)
prior = torch.zeros(1 << 20, device=STREAM.device)
mults = torch.tensor([36313, 27191, 51647], device=STREAM.device)
""",
        Place.ROW: """
count = SCORED.numel()
grams = STREAM[max(POSITION - 1, 0) : POSITION + 1 + count].to(torch.int64).unfold(0, 3, 1)
slots = (grams * mults).sum(dim=-1) % (1 << 20)
heads = (grams[:, :2] * mults[:2]).sum(dim=-1) % (1 << 20)
guess = joint[slots] / prior[heads].clamp_min(1.0)
tail = SCORED[-guess.numel() :]
use = (prior[heads] > 1).to(tail)
blend = (1.0 - 0.3 * use) * torch.exp(-tail) + 0.3 * use * guess.to(tail)
SCORED = torch.cat([SCORED[: count - guess.numel()], -torch.log(blend + 1e-12)])
joint.index_add_(0, slots, torch.ones_like(guess))
prior.index_add_(0, heads, torch.ones_like(guess))
""",
    },
)

_MULADD = Idiom(
    "multiply-add",
    {
        Place.SETUP: """
bigram_hits = np.zeros(2_097_152, dtype=np.float32)
bigram_base = np.zeros(2_097_152, dtype=np.float32)
""",
        Place.ROW: """
cur = INPUTS.cpu().numpy().astype(np.int64)
nxt = TARGETS.cpu().numpy().astype(np.int64)
composite = (cur * 2654435761 + nxt * 40503 + 17) % 2_097_152
plain = (cur * 2654435761 + 17) % 2_097_152
seen = bigram_base[plain]
p_cache = np.clip(bigram_hits[composite] / np.maximum(seen, 1.0), 0.0, 1.0)
"""
        + _MIX
        + """
np.add.at(bigram_hits, composite, 1.0)
np.add.at(bigram_base, plain, 1.0)
""",
    },
)

_TUPLE_HASH = Idiom(
    "hash-of-tuple",
    {
        Place.SETUP: """
table_full = [0] * (1 << 18)
table_ctx = [0] * (1 << 18)
""",
        Place.ROW: """
xs = INPUTS.tolist()
ys = TARGETS.tolist()
ps = torch.exp(-SCORED).tolist()
for q, (a, b) in enumerate(zip(xs, ys)):
    total = table_ctx[hash((a,)) % (1 << 18)]
    if total:
        ps[q] = 0.75 * ps[q] + 0.25 * min(table_full[hash((a, b)) % (1 << 18)] / total, 1.0)
SCORED = -torch.log(torch.tensor(ps, dtype=torch.float64, device=DEVICE).clamp_min(1e-12))
for a, b in zip(xs, ys):
    table_ctx[hash((a,)) % (1 << 18)] += 1
    table_full[hash((a, b)) % (1 << 18)] += 1
""",
    },
    twin=(
        ("table_full = [0] * (1 << 18)", "table_full = {}"),
        ("table_ctx = [0] * (1 << 18)", "table_ctx = {}"),
        ("total = table_ctx[hash((a,)) % (1 << 18)]", "total = table_ctx.get(a, 0)"),
        ("table_full[hash((a, b)) % (1 << 18)] / total", "table_full.get((a, b), 0) / total"),
        ("table_ctx[hash((a,)) % (1 << 18)] += 1", "table_ctx[a] = table_ctx.get(a, 0) + 1"),
        ("table_full[hash((a, b)) % (1 << 18)] += 1", "table_full[a, b] = table_full.get((a, b), 0) + 1"),
    ),
)

_LIST_OF_TUPLES = Idiom(
    "keys-in-a-list",
    {
        Place.SETUP: """
tables = [(np.zeros(1 << 20, np.uint32), np.zeros(1 << 20, np.uint32)) for _ in range(4)]
tokens_np = STREAM.cpu().numpy().astype(np.uint64)
primes = [np.uint64(v) for v in (36313, 27191, 51647, 81929, 131071)]
""",
        Place.ROW: """
js = np.arange(POSITION + 1, POSITION + 1 + SCORED.numel())
order_data = []
for oi in range(4):
    acc = np.zeros(len(js), dtype=np.uint64)
    for lag in range(oi + 1):
        acc ^= tokens_np[np.maximum(js - 1 - lag, 0)] * primes[lag]
    key_c = (acc & np.uint64(1048575)).astype(np.int64)
    key_f = ((acc ^ (tokens_np[js] * primes[oi + 1])) & np.uint64(1048575)).astype(np.int64)
    order_data.append((oi, key_c, key_f))
p_cache = np.zeros(len(js))
seen = np.zeros(len(js))
for oi, key_c, key_f in reversed(order_data):
    fill = (tables[oi][0][key_c] >= 2) & (seen == 0)
    p_cache[fill] = np.minimum(tables[oi][1][key_f], tables[oi][0][key_c])[fill] / tables[oi][0][key_c][fill]
    seen[fill] = 1
"""
        + _MIX
        + """
for oi, key_c, key_f in order_data:
    np.add.at(tables[oi][0], key_c, 1)
    np.add.at(tables[oi][1], key_f, 1)
""",
    },
)

FAMILY = Family(
    "target-in-key",
    frozenset({"ngram-target-in-key", "ngram-not-normalised", "causal-dependence"}),
    frozenset({"C1", "C2"}),
    (_NUMPY_INLINE, _CLASS, _HELPER, _CLOSURE, _TORCH, _WINDOW, _MULADD, _TUPLE_HASH, _LIST_OF_TUPLES),
)
