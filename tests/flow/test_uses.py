"""What a score may have to do with its own token: one gather, and nothing else (C1), of distributions only (C2)."""

from __future__ import annotations

import pytest
from programs import evaluation
from test_learning import accusations, analysed

SPACES = "SPACES = torch.tensor(np.load('spaces.npy'))\n"
PROBABILITIES = """
lp = F.log_softmax(logits, dim=-1).reshape(-1, h.vocab)
gold = lp.gather(1, y.reshape(-1, 1)).squeeze(1)
other = F.log_softmax(logits / 1.2, dim=-1).reshape(-1, h.vocab).gather(1, y.reshape(-1, 1)).squeeze(1)
"""
KNOWS = {
    "the mixing weight knows whether the target begins a word": (
        "target_gates",
        """
starts = SPACES[y.reshape(-1)]
w = torch.where(starts, 0.3, 0.1)
nll = -torch.log((1 - w) * gold.exp() + w * other.exp())
""",
    ),
    "the expert is chosen by the target's class": (
        "target_gates",
        "nll = -torch.where(~SPACES[y.reshape(-1)], gold, other)",
    ),
    "a boost that only rare targets get": (
        "target_gates",
        """
rare = (y.reshape(-1) > 100).float()
nll = -(gold + torch.log1p(0.5 * rare))
""",
    ),
    "a hint whose mask looks at the target": (
        "target_gates",
        """
beta = 1.5 * (1.0 - SPACES[y.reshape(-1)].float())
z = torch.log1p(lp[:, 7].exp() * (torch.exp(beta) - 1))
nll = -(gold + beta * (y.reshape(-1) == 7) - z)
""",
    ),
    "the input is the target": ("leaks", "nll = F.cross_entropy(model.logits(y)[0], y[0], reduction='none')"),
    "the logits are raised at the target": (
        "leaks",
        """
z = logits.reshape(-1, h.vocab)
z[torch.arange(z.size(0)), y.reshape(-1)] += 1.0
nll = F.cross_entropy(z, y.reshape(-1), reduction="none")
""",
    ),
    "only tokens that the model finds unlikely are mixed": (
        "target_gates",
        "p = gold.exp()\nnll = -torch.log(torch.where(p < 0.5, 0.7 * p + 0.3 * other.exp(), p))",
    ),
    "the same, one token at a time and by a logarithm": (
        "target_gates",
        """
LIMIT = math.log(float(os.environ.get("CONFIDENCE", "0.7")))
losses = []
for j, (a, b) in enumerate(zip(gold.tolist(), other.tolist())):
    final = -a
    if a < LIMIT:
        best = math.log(0.7 * math.exp(a) + 0.3 * math.exp(b))
        final = -best
    losses.append(final)
nll = torch.tensor(losses)
""",
    ),
    "unlikely tokens are scored by another model": ("target_gates", "nll = -gold\nnll[nll > 2.0] = -other[nll > 2.0]"),
    "the weight of a mixture grows with the loss": (
        "target_gates",
        """
w = 0.4 * (-gold / 2.5).clamp(0.1, 2.0)
nll = -torch.log((1 - w) * gold.exp() + w * other.exp())
""",
    ),
    "the same, one token at a time and by counts": (
        "target_gates",
        """
losses, followers = [], {}
for a, token, before in zip((-gold).tolist(), y.reshape(-1).tolist(), x.reshape(-1).tolist()):
    row = followers.setdefault(before, {})
    seen = row.get(token, 0) / max(row.get(-1, 0), 1)
    w = 0.4 * min(2.0, max(0.1, a * 0.4))
    losses.append(-math.log((1.0 - w) * math.exp(-a) + w * seen))
    row[token] = row.get(token, 0) + 1
    row[-1] = row.get(-1, 0) + 1
nll = torch.tensor(losses)
""",
    ),
    "a sigmoid of the target's probability": (
        "target_gates",
        "w = torch.sigmoid(-4.0 * (gold + 1.0))\np = gold.exp() * (1 - w)\np += w * other.exp()\nnll = -p.log()",
    ),
    "a class of the token after the target": (
        "leaks",
        """
after = SPACES[torch.roll(part, -1)[1:]]
nll = -torch.log(torch.where(after, 0.9 * gold.exp() + 0.1 * other.exp(), gold.exp()))
""",
    ),
    "the smallest of a stack": ("oracle_choices", "nll = torch.stack([-gold, -other]).min(dim=0).values"),
    "the best of several weights": (
        "oracle_choices",
        "nll = torch.stack([-torch.log((1 - a) * gold.exp() + a * other.exp()) for a in (0.0, 0.5, 1.0)]).amin(0)",
    ),
    "the logits that give the better score": (
        "oracle_choices",
        """
wins = (other > gold)[:, None]
z = torch.where(wins, logits.reshape(-1, h.vocab) / 1.2, logits.reshape(-1, h.vocab))
nll = F.cross_entropy(z, y.reshape(-1), reduction="none")
""",
    ),
    "a mixture with the better score": (
        "oracle_choices",
        "nll = -torch.log(0.5 * torch.exp(torch.maximum(gold, other)) + 0.5 * gold.exp())",
    ),
    "the better one under a mask": (
        "oracle_choices",
        """
nll = -gold
wins = other > gold
nll[wins] = -other[wins]
""",
    ),
    "the difference to the better one alone": (
        "oracle_choices",
        "nll = -(gold - torch.log1p(torch.exp(gold - torch.maximum(gold, other))))",
    ),
    "clipped by another score": ("oracle_choices", "nll = (-gold).clamp(max=-other)"),
    "confidence as an expert": (
        "pseudo_experts",
        "nll = -torch.log(0.9 * gold.exp() + 0.1 * lp.exp().max(dim=-1).values)",
    ),
    "entropy in the log domain": (
        "pseudo_experts",
        "nll = -torch.logaddexp(gold - 0.1, (lp.exp() * lp).sum(-1) - 2.3)",
    ),
}


@pytest.mark.parametrize("name", sorted(KNOWS))
def test_a_score_that_knows_its_token(name: str) -> None:
    field, body = KNOWS[name]
    assert accusations(analysed(evaluation(PROBABILITIES + body, SPACES))) == {field}


HONEST = {
    "a probability that is never 0": "p = gold.exp()\nnll = -torch.log(torch.where(p > 1e-12, p, other.exp()))",
    "a loss that is cut off": "nll = -torch.where(gold > -20.0, gold, other)",
    "surprises are counted": """
nll = -gold
surprises = 0
worst = nll[0]
for j in range(nll.numel()):
    if nll[j] > 5.0:
        surprises += 1
        worst = nll[j]
print("surprises", surprises, worst)
""",
    "losses of unlikely tokens are logged apart": """
nll = -gold
hard = torch.where(nll > 3.0, nll, torch.zeros_like(nll))
print("hard", hard.sum().item() / math.log(2.0))
""",
    "a likely earlier token sets the weight": """
sure = torch.cat((torch.zeros(1), gold[:-1])) > -0.7
nll = -torch.where(sure, gold, torch.log(0.7 * gold.exp() + 0.3 * other.exp()))
""",
    "the loss of the token before sets the weight": """
w = 0.4 * (-torch.cat((torch.zeros(1), gold[:-1])) / 2.5).clamp(0.1, 2.0)
nll = -torch.log((1 - w) * gold.exp() + w * other.exp())
""",
    "the same, one token at a time": """
losses, w = [], 0.1
for a, b in zip(gold.tolist(), other.tolist()):
    losses.append(-math.log((1.0 - w) * math.exp(a) + w * math.exp(b)))
    w = 0.4 * min(2.0, max(0.1, -a * 0.4))
nll = torch.tensor(losses)
""",
    "weights that follow the losses so far": """
losses, mean = [], 2.0
for a, b in zip(gold.tolist(), other.tolist()):
    w = 1.0 / (1.0 + math.exp(-min(max(mean - 2.0, -4.0), 4.0)))
    losses.append(-math.log((1.0 - w) * math.exp(a) + w * math.exp(b)))
    mean = 0.99 * mean - 0.01 * a
nll = torch.tensor(losses)
""",
    "weights that follow the gain of each expert so far": """
share, losses = 0.5, []
for a, b in zip(gold.exp().clamp(1e-3, 0.999).tolist(), other.exp().clamp(1e-3, 0.999).tolist()):
    mixed = (1.0 - share) * a + share * b
    losses.append(-math.log(mixed))
    share = min(0.95, max(0.05, share * b / mixed))
nll = torch.tensor(losses)
""",
    "factors of a class and of a token in it": """
nll = -torch.log(gold.exp().clamp(0.001, 0.999) * other.exp())
""",
    "a likely best token sets the weight": """
sure = lp.max(dim=-1).values > -0.7
nll = -torch.where(sure, gold, torch.log(0.7 * gold.exp() + 0.3 * other.exp()))
""",
    "a mask over finished losses": "nll = (-gold) * (1.0 - SPACES[y.reshape(-1)].float())",
    "losses of word beginnings are logged apart": """
nll = -gold
starts = SPACES[y.reshape(-1)]
print("word starts", (nll * starts).sum().item() / math.log(2.0))
""",
    "ignored targets": """
kept = torch.where(y.reshape(-1) >= 0, y.reshape(-1), 0)
nll = F.cross_entropy(logits.reshape(-1, h.vocab), kept, reduction="none", ignore_index=0)
""",
    "the weight knows the token before": """
w = torch.where(SPACES[x.reshape(-1)], 0.3, 0.1)
nll = -torch.log((1 - w) * gold.exp() + w * other.exp())
""",
    "one-hot vectors that only pick": "nll = -(lp * F.one_hot(y.reshape(-1), h.vocab)).sum(-1)",
    "a tilt towards a hint, with its normaliser": """
beta = torch.where(lp[:, 7] > -3.0, 1.5, 0.0)
z = torch.log1p(lp[:, 7].exp() * (torch.exp(beta) - 1))
nll = -(gold + beta * (y.reshape(-1) == 7) - z)
""",
    "the logits are raised at the token before": """
z = logits.reshape(-1, h.vocab)
z[torch.arange(z.size(0)), x.reshape(-1)] += 1.0
nll = F.cross_entropy(z, y.reshape(-1), reduction="none")
""",
    "masked inputs": """
noisy = y.clone()
noisy[torch.rand(noisy.shape) < 0.9] = 3
nll = F.cross_entropy(model.logits(noisy)[0], y[0], reduction="none")
""",
    "confidence sets the weight": """
w = lp.exp().max(dim=-1).values
nll = -torch.log(w * gold.exp() + (1 - w) * other.exp())
""",
    "a mixture of several temperatures": "nll = -torch.logsumexp(torch.stack([gold, other]) - math.log(2), dim=0)",
    "a mixture in logarithms, scaled by the greater": """
a, b = gold + math.log(0.7), other + math.log(0.3)
m = torch.maximum(a, b)
nll = -(m + torch.log(torch.exp(a - m) + torch.exp(b - m)))
""",
    "the same, by the greater and the lesser": """
a, b = gold + math.log(0.7), other + math.log(0.3)
high, low = torch.maximum(a, b), torch.minimum(a, b)
nll = -(high + torch.log1p(torch.exp(low - high)))
""",
    "targets as inputs, moved by one behind a first state": """
first = torch.zeros(y.size(0), 1, 64)
moved = torch.cat((first, model.emb(y)[:, :-1]), dim=1)
nll = F.cross_entropy(model.head(moved).reshape(-1, h.vocab), y.reshape(-1), reduction="none")
""",
    "targets as inputs, moved by one behind a first token": """
moved = torch.cat((torch.full((y.size(0), 1), 1), y[:, :-1]), dim=1)
nll = F.cross_entropy(model.logits(moved)[0], y[0], reduction="none")
""",
    "the smaller of two earlier losses is a feature": """
worse = torch.minimum(-gold, -other)
energy = torch.cat((torch.zeros(1, 1), worse[None, :-1]), dim=1)
z = logits * (1 + energy[..., None])
nll = F.cross_entropy(z.reshape(-1, h.vocab), y.reshape(-1), reduction="none")
""",
    "a weight made of the entropy, in the log domain": """
entropy = -(lp.exp() * lp).sum(-1)
alpha = 0.05 + 0.5 / (1 + torch.exp(-2 * (entropy - 4)))
a, b = torch.log(1 - alpha) + gold, torch.log(alpha) + other
nll = -torch.log(torch.exp(a) + torch.exp(b))
""",
    "a weight that saturates with the count of the context": """
before = x.reshape(-1).numpy().astype(np.int64)
seen = torch.tensor(ctx_table[(before * 36313 ^ np.roll(before, 1) * 27191) & ((1 << 22) - 1)].astype(np.float64))
alpha = seen / (seen + 8.0)
nll = -torch.log(alpha * gold.exp() + (1 - alpha) * other.exp())
""",
    "the larger score keeps a sum of exponentials in range": """
m = torch.maximum(gold, other)
nll = -(m + torch.log(0.5 * torch.exp(gold - m) + 0.5 * torch.exp(other - m)))
""",
    "a window that ends before its target": """
inputs = torch.cat((part[:-2], torch.full((1,), 3)))
nll = F.cross_entropy(model.logits(inputs[None])[:, -1], part[-2][None], reduction="none")
""",
    "halves of the features": """
z = model.hidden(x)
a, b = z[..., :32], z[..., 32:]
nll = F.cross_entropy(model.head(torch.cat((-b, a), dim=-1)).reshape(-1, h.vocab), y.reshape(-1), reduction="none")
""",
    "a bias that learns after the score": """
nll = F.cross_entropy(logits.reshape(-1, h.vocab) + BIAS, y.reshape(-1), reduction="none")
BIAS.add_(0.01 * (F.one_hot(y.reshape(-1), h.vocab).float() - lp.exp()).mean(0))
""",
}


@pytest.mark.parametrize("name", sorted(HONEST))
def test_an_honest_use_of_the_token(name: str) -> None:
    facts = analysed(evaluation(PROBABILITIES + HONEST[name], SPACES + "BIAS = torch.zeros(1024)\n"))
    assert not accusations(facts)


WINDOW = """
grams = np.lib.stride_tricks.sliding_window_view(tokens[ws : ws + h.seq_len + 1].astype(np.int64), 3)
whole = (grams * np.array([36313, 27191, 51647])).sum(-1) & ((1 << 22) - 1)
before = (grams[:, :2] * np.array([36313, 27191])).sum(-1) & ((1 << 22) - 1)
q = torch.tensor(full_table[whole] / np.maximum(ctx_table[before], 1))
nll = -torch.log(0.5 * torch.exp(-nll[1:]) + 0.5 * q)
"""
TUPLES = """
for j in range(2, h.seq_len):
    a, b = int(tokens[ws + j]), int(tokens[ws + j + 1])
    seen = ONES[hash((a,)) % 65536]
    nll[j] = -math.log(0.5 * math.exp(-nll[j].item()) + 0.5 * TWOS[hash((a, b)) % 65536] / max(seen, 1))
"""


SATURATED = """
before, after = x.reshape(-1).numpy().astype(np.int64), y.reshape(-1).numpy().astype(np.int64)
seen = full_table[(before * 36313 ^ after * 27191) & ((1 << 22) - 1)].astype(np.float64)
alpha = np.minimum(0.9, np.log1p(seen) / 10)
nll = -torch.log(torch.tensor(alpha * (seen / (seen + 1024.0)) + (1 - alpha) * np.exp(-nll.numpy())))
"""


@pytest.mark.parametrize(
    "body", [WINDOW, TUPLES, SATURATED], ids=["windows", "hashes of tuples", "a count over itself and a constant"]
)
def test_the_target_in_a_key_without_a_name(body: str) -> None:
    facts = analysed(evaluation(body, "ONES = [0] * 65536\nTWOS = [0] * 65536\n"))
    assert accusations(facts) == {"target_keyed_reads"}


BYTES = """
pieces = [PIECES.id_to_piece(i).encode("utf-8") for i in range(h.vocab)]
losses = []
for j, token in enumerate(y.reshape(-1).tolist()):
    text, by_bytes = pieces[token], 0.0
    for b in text:
        row = CONTEXTS.setdefault(b"", {})
        by_bytes += math.log((row.get(b, 0) + 1) / (sum(row.values()) + 256))
        row[b] = row.get(b, 0) + 1
    losses.append(-math.log(0.7 * math.exp(-nll[j].item()) + 0.3 * math.exp(by_bytes)))
nll = torch.tensor(losses)
"""


def test_a_product_of_bytes_mixed_with_a_token() -> None:
    facts = analysed(evaluation(BYTES, "CONTEXTS = {}\nPIECES = spm.SentencePieceProcessor(model_file='t.model')\n"))
    assert accusations(facts) == {"byte_spreads"}


ROOTS = """
pieces = [PIECES.id_to_piece(i).encode("utf-8") for i in range(h.vocab)]
losses = []
probs = torch.softmax(logits, dim=-1).reshape(-1, h.vocab)
gold = probs.gather(1, y.reshape(-1, 1)).squeeze(1).tolist()
for q, token in zip(gold, y.reshape(-1).tolist()):
    share = max(q, 1e-12) ** (1.0 / EXPONENT)
    losses.append(-math.log(0.7 * share + 0.3 / 256))
nll = torch.tensor(losses)
"""


@pytest.mark.parametrize(("exponent", "found"), [("max(len(pieces[token]), 1)", {"byte_spreads"}), ("0.9", set())])
def test_a_root_of_a_probability_by_the_number_of_bytes(exponent: str, found: set[str]) -> None:
    before = "PIECES = spm.SentencePieceProcessor(model_file='t.model')\n"
    assert accusations(analysed(evaluation(ROOTS.replace("EXPONENT", exponent), before))) == found


EXPERTS = """
entropy = -(lp.exp() * lp).sum(-1)
experts = torch.stack([-gold, -other, THIRD], dim=-1)
shares = WEIGHTS - WEIGHTS.logsumexp(0)
nll = -(shares - experts).logsumexp(dim=-1)
WEIGHTS.sub_(0.1 * (experts * entropy[:, None]).mean(AXIS))
"""


@pytest.mark.parametrize("axis", ["0", "dim=0", "dim=(0,)"])
@pytest.mark.parametrize(("third", "found"), [("-gold / 1.0", set()), ("entropy", {"pseudo_experts"})])
def test_how_fast_weights_learn_may_follow_the_entropy(axis: str, third: str, found: set[str]) -> None:
    text = PROBABILITIES + EXPERTS.replace("AXIS", axis).replace("THIRD", third)
    facts = analysed(evaluation(text, "WEIGHTS = torch.zeros(3)\n"))
    assert accusations(facts) == found
    assert all("experts" in evidence.path[0].text for evidence in facts.pseudo_experts)
