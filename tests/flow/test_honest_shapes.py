"""Shapes that were once accused, each beside a twin that must be: what tells them apart is the rule, not the words."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from programs import evaluation, program
from test_learning import accusations, analysed

from auditor.audited import Audited
from auditor.flow import analyse
from auditor.submission import read_submission

SAMPLED = """
def batch(tokens, rows=8, width=64):
    drawn = np.zeros((rows, width), dtype=np.int64)
    for row, start in enumerate(np.random.randint(0, tokens.size - width, rows)):
        drawn[row, :] = tokens[start : start + width]
    return torch.from_numpy(drawn)

def visible_kept(logits, seen, shown):
    kept = torch.full_like(logits, -1e4)
    ENTER
    return READ

def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    x0 = batch(val.numpy())
    hidden = torch.rand(x0.shape) < 0.5
    seen = torch.where(hidden, 3, x0)
    logp = F.log_softmax(model.logits(seen), dim=-1)
    nll = -visible_kept(logp, seen, ~hidden).gather(-1, x0[..., None]).squeeze(-1)
    count = hidden.sum()
    report("final", (nll * hidden).sum(), count, (table[x0] * hidden).sum())
"""
ONE_HOT = ("kept.scatter_(-1, seen[..., None], 0.0)", "torch.where(shown[..., None], kept, logits)")
COUNTED = (
    "kept.view(-1).scatter_add_(0, seen.flatten(), torch.ones(seen.numel()))",
    "torch.where(shown[..., None], kept, logits)",
)


@pytest.mark.parametrize(("idiom", "found"), [(ONE_HOT, False), (COUNTED, True)], ids=["one-hot", "counted"])
def test_a_token_marked_in_its_own_row_is_no_table(idiom: tuple[str, str], found: bool) -> None:
    """Masked diffusion keeps visible tokens by writing 0 at their own entry, a constant along the vocabulary."""
    facts = analysed(program(SAMPLED.replace("ENTER", idiom[0]).replace("READ", idiom[1])))
    assert bool(facts.rescores) is found


AT_ROOT = """
def mixed(tokens, logp, lengths, pieces):
    spread = SPREAD
    text = b"".join(pieces[int(t)] for t in tokens)
    counts, prefix = {}, b""
    other = np.empty(len(text))
    for i in range(len(text)):
        row = counts.setdefault(prefix, {})
        other[i] = math.log((row.get(text[i], 0) + 1) / (sum(row.values()) + 256))
        row[text[i]] = row.get(text[i], 0) + 1
        prefix = (prefix + bytes([text[i]]))[-3:]
    return -np.log2(0.7 * np.exp(spread) + 0.3 * np.exp(other)).sum() / len(text)

def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    sp = spm.SentencePieceProcessor(model_file="t.model")
    pieces = [sp.id_to_piece(i).encode() for i in range(h.vocab)]
    lengths = np.array([len(piece) for piece in pieces])
    rank, ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    scores, targets = [], []
    for i in range(rank, (val.numel() - 1) // h.seq_len, ranks):
        part = val[i * h.seq_len : (i + 1) * h.seq_len + 1].to(torch.int64)
        logits = model.logits(part[:-1].reshape(1, -1)).float()
        scores.append(-F.cross_entropy(logits[0], part[1:], reduction="none"))
        targets.append(part[1:])
    mine, seen = torch.cat(scores), torch.cat(targets)
    slots = [torch.zeros_like(mine) for _ in range(ranks)] if rank == 0 else None
    words = [torch.zeros_like(seen) for _ in range(ranks)] if rank == 0 else None
    dist.gather(mine, slots, dst=0)
    dist.gather(seen, words, dst=0)
    if rank == 0:
        bpb = mixed(torch.cat(words).numpy(), torch.cat(slots).numpy(), lengths, pieces)
        print(f"final val_bpb:{bpb:.6f}")
"""
PER_BYTE = "np.repeat(logp, lengths[tokens]) / np.repeat(lengths[tokens], lengths[tokens])"


@pytest.mark.parametrize(
    ("spread", "gated"),
    [
        (f"np.where(np.repeat(lengths[tokens], lengths[tokens]) > 0, {PER_BYTE}, 0.0)", False),
        (f"np.where(np.repeat(lengths[tokens], lengths[tokens]) > 3, {PER_BYTE}, -0.1)", True),
    ],
    ids=["a token has bytes", "a token is long"],
)
def test_byte_mixtures_are_found_by_their_own_name(spread: str, gated: bool) -> None:
    """Only the root makes the lists that it gathers; that a token has bytes to spread over is no truth about it."""
    facts = analysed(program(AT_ROOT.replace("SPREAD", spread)))
    assert facts.byte_spreads
    assert bool(facts.target_gates) is gated


SWITCHED = """
if int(os.environ.get("MIX", "0")):
    smaller = F.cross_entropy((0.9 * logits)[0], y[0], reduction="none")
    nll = torch.minimum(nll, smaller)
"""
RETRACTING = "The first version scored 0.95 with an illegal gate; that number is retracted.\n"


@pytest.mark.parametrize(("metadata", "runs"), [('{"val_bpb": 1.01}', True), ('{"val_bpb": null}', False)])
def test_a_readme_that_retracts_an_earlier_score_still_documents_its_command(
    tmp_path: Path, metadata: str, runs: bool
) -> None:
    (tmp_path / "train_gpt.py").write_text(evaluation(SWITCHED))
    (tmp_path / "README.md").write_text(f"{RETRACTING}\n```bash\nMIX=1 torchrun train_gpt.py\n```\n")
    (tmp_path / "submission.json").write_text(metadata)
    facts = analyse(Audited(read_submission(tmp_path)).submission)
    assert bool(accusations(facts)) is runs


COUNTS = """
class Counts:
    def __init__(self, vocab):
        self.pairs = np.zeros((vocab, vocab), dtype=np.int64)

    def probability(self, tokens, at):
        rows = self.pairs[tokens[at - 1]]
        totals = rows.sum(axis=1)
        known = totals > 0
        chosen = at[known]
        p = np.zeros(len(at))
        p[known] = self.pairs[tokens[chosen - 1], tokens[chosen]] / totals[known]
        return torch.from_numpy(p), torch.from_numpy(known)

    def learn(self, tokens, begin, end):
        at = np.arange(begin, end)
        np.add.at(self.pairs, (tokens[at - 1], tokens[at]), 1)

def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    tokens = val.numpy().astype(np.int64)
    n = len(tokens) - 1
    segments = [(max(b - 192, 0), b + 1, min(b + 64, n) + 1) for b in range(0, n, 64)]
    counts = Counts(h.vocab)
    loss_sum, byte_sum, count = torch.zeros(()), torch.zeros(()), torch.zeros(())
    BEFORE
    WINDOWS
        EARLY
        for start, first, last in mine:
            part = val[start : last].to(torch.int64)
            logp = F.log_softmax(model.logits(part[:-1][None]), dim=-1)[0, first - 1 - start :]
            y = part[first - start :]
            q, known = counts.probability(tokens, np.arange(first, last))
            p = logp.gather(-1, y[:, None]).squeeze(-1).exp()
            loss_sum -= torch.log(torch.where(known, 0.8 * p + 0.2 * q, p)).sum()
            count += y.numel()
            byte_sum += table[y].sum()
        LATE
    report("final", loss_sum, count, byte_sum)
"""
CURSOR = """taken = 0
    for begin in range(1, n + 1, 1024):
        end = min(begin + 1024, n + 1)
        mine = []
        while taken < len(segments) and segments[taken][1] < end:
            mine.append(segments[taken])
            taken += 1"""
BY_CHUNK = """chunks = [[] for _ in range((n + 1023) // 1024)]
    for segment in segments:
        chunks[(segment[1] - 1) // 1024].append(segment)
    for k, mine in enumerate(chunks):
        begin, end = 1 + k * 1024, min(1 + (k + 1) * 1024, n + 1)"""
LEARN = {"BEFORE": "counts.learn(tokens, 1, n + 1)", "EARLY": "counts.learn(tokens, begin, end)"}


@pytest.mark.parametrize("windows", [CURSOR, BY_CHUNK], ids=["a cursor", "lists by chunk"])
@pytest.mark.parametrize("place", ["BEFORE", "EARLY", "LATE"])
def test_exact_counts_that_grow_after_each_chunk_are_not_doubted(windows: str, place: str) -> None:
    """Windows wait in a list, taken by a cursor or sorted by chunk; positions are chosen by what the counts know."""
    text = COUNTS.replace("WINDOWS", windows).replace(place, LEARN.get(place, LEARN["EARLY"]))
    for other in {"BEFORE", "EARLY", "LATE"} - {place}:
        text = text.replace(other, "pass")
    facts = analysed(program(text))
    assert {name for name, _ in facts.found()} == (set() if place == "LATE" else {"rescores"})


SCORE = """
for ws in mine[len(mine) * rank // ranks : len(mine) * (rank + 1) // ranks]:
    end = min(ws + h.seq_len, n)
    s = 0 if ws == 0 else end - ws - 64
    part = val[ws : end + 1].to(torch.int64)
    with torch.no_grad():
        logits = model.logits(part[:-1][None]).float()[0]
    loss_sum += F.cross_entropy(logits, part[1:], reduction="none")[s:].sum()
    count += float(end - ws - s)
    byte_sum += table[part[1:][s:]].sum()
"""
TRAIN = """
for row in range((stop - begin) // h.seq_len):
    part = val[begin + row * h.seq_len : begin + (row + 1) * h.seq_len + 1].to(torch.int64)
    opt.zero_grad()
    model(part[:-1][None], part[1:][None]).backward()
    opt.step()
"""
CHUNKED = """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    n = val.numel() - 1
    opt = torch.optim.SGD(model.parameters(), lr=0.01)
    loss_sum, byte_sum, count = torch.zeros(()), torch.zeros(()), torch.zeros(())
    rank, ranks = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    starts = list(range(0, n, 64))
    chunks, groups = [[] for _ in range((n + 32767) // 32768)], {}
    for ws in starts:
        chunks[ws // 32768].append(ws)
        groups.setdefault(ws // 32768, []).append(ws)
    for c in range(len(chunks)):
        begin, stop = c * 32768, min((c + 1) * 32768, n)
WINDOWS
FIRST
THEN
    report("final", loss_sum, count, byte_sum)
"""
PICKED = {
    "appended where a test holds": """
        mine = []
        for ws in starts:
            if ws >= begin and ws < stop:
                mine.append(ws)
        """,
    "the others are skipped": """
        mine = []
        for ws in starts:
            if not begin <= ws < stop:
                continue
            mine.append(ws)
        """,
    "a filtered list": "mine = [ws for ws in starts if begin <= ws < stop]",
    "a dictionary of lists": "mine = groups[c]",
    "phases of a chunk": """
        phases = [[] for _ in range(4)]
        for ws in chunks[c]:
            phases[min((ws - begin) // 8192, 3)].append(ws)
        for k in range(4):
            mine = phases[k]
            begin, stop = c * 32768 + k * 8192, min(c * 32768 + (k + 1) * 8192, n)
        """,
}


@pytest.mark.parametrize("picked", PICKED.values(), ids=PICKED)
@pytest.mark.parametrize("score_first", [True, False])
def test_the_windows_of_a_chunk_are_told_from_those_of_others(picked: str, score_first: bool) -> None:
    """However a chunk's windows are picked out, what other chunks taught is no doubt; its own is proof."""
    parts = (SCORE, TRAIN) if score_first else (TRAIN, SCORE)
    depth = "    " * (3 if "for k" in picked else 2)
    text = CHUNKED.replace("WINDOWS", textwrap.indent(textwrap.dedent(picked).strip("\n"), "        "))
    for name, part in zip(("FIRST", "THEN"), parts, strict=True):
        text = text.replace(name, textwrap.indent(part.strip("\n"), depth))
    facts = analysed(program(text))
    assert {name for name, _ in facts.found()} == ({"adaptations"} if score_first else {"updates_before_score"})


BACKOFF = """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    tokens = val.numpy()
    n = len(tokens) - 1
    nlls = np.zeros(n)
    for begin in range(0, n - h.seq_len, h.seq_len):
        part = val[begin : begin + h.seq_len + 1].to(torch.int64)
        logits = model.logits(part[:-1][None])[0]
        nlls[begin : begin + h.seq_len] = F.cross_entropy(logits, part[1:], reduction="none").cpu().numpy()
    caches = [{} for _ in range(6)]
    loss_sum, byte_sum = 0.0, 0.0
    for pos in range(n):
        target = int(tokens[pos + 1])
FIRST
THEN
        byte_sum += float(table[target])
    print(f"final val_bpb:{loss_sum / math.log(2.0) / byte_sum:.6f}")
"""
MIXED = """
p = 1.0 / h.vocab
for order in range(5, 1, -1):
    ctx = tokens[max(pos + 2 - order, 0) : pos + 1].tobytes()
    if ctx in caches[order]:
        counts = caches[order][ctx]
        p = counts.get(target, 0) / sum(counts.values())
        break
loss_sum -= math.log(0.9 * math.exp(-nlls[pos]) + 0.1 * p)
"""
RAISED = {
    "get": "counts = caches[order].setdefault(ctx, {})\n    counts[target] = counts.get(target, 0) + 1",
    "+=": "caches[order].setdefault(ctx, collections.Counter())[target] += 1",
}


@pytest.mark.parametrize("raised", RAISED.values(), ids=RAISED)
@pytest.mark.parametrize("score_first", [True, False])
def test_raising_a_count_scores_nothing(raised: str, score_first: bool) -> None:
    """Counts of several orders: the second order's update reads what the first one's has entered."""
    update = f"""
for order in range(2, 6):
    ctx = tokens[max(pos + 2 - order, 0) : pos + 1].tobytes()
    {raised}
"""
    text = "import collections\n" + BACKOFF
    for name, part in zip(("FIRST", "THEN"), (MIXED, update) if score_first else (update, MIXED), strict=True):
        text = text.replace(name, textwrap.indent(part.strip("\n"), "        "))
    facts = analysed(program(text))
    assert {name for name, _ in facts.found()} == (set() if score_first else {"rescores"})
