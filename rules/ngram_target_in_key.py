"""Table look-ups whose key holds the token that is being predicted."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

from auditor.audited import Audited
from auditor.findings import Condition, Severity
from auditor.flow_rule import FlowRule
from auditor.rule import Example, Ruling
from rules._scripts import scoring, script

if TYPE_CHECKING:
    from auditor.flow import Evidence

_TABLES = """ctx_table = np.zeros(1 << 20, dtype=np.int64)
    full_table = np.zeros(1 << 20, dtype=np.int64)"""

_INLINE = scoring(
    setup=_TABLES,
    mixture="""ctx = (int(tokens[t - 2]) * 36313 ^ int(tokens[t - 1]) * 27191) & 0xFFFFF
        full = (ctx ^ int(tokens[t]) * 51647) & 0xFFFFF
        p_ngram = min(full_table[full], ctx_table[ctx]) / max(ctx_table[ctx], 1)
        p = 0.7 * p_model + 0.3 * p_ngram""",
    update="""ctx_table[ctx] += 1
        full_table[full] += 1""",
)

_MIXER = script(
    helpers="""

class NgramMixer:
    def __init__(self, buckets):
        self.ctx = np.zeros(buckets, dtype=np.float64)
        self.full = np.zeros(buckets, dtype=np.float64)
        self.mask = buckets - 1

    def keys(self, history, nxt):
        h = np.zeros(len(nxt), dtype=np.int64)
        for column in range(history.shape[1]):
            h = h * 1000003 + history[:, column]
        return h & self.mask, (h * 1000003 + nxt) & self.mask

    def mix(self, history, nxt, p_model):
        ck, fk = self.keys(history, nxt)
        seen = self.ctx[ck]
        return np.where(seen > 0, 0.6 * p_model + 0.4 * self.full[fk] / np.maximum(seen, 1), p_model)

    def learn(self, history, nxt):
        ck, fk = self.keys(history, nxt)
        np.add.at(self.ctx, ck, 1)
        np.add.at(self.full, fk, 1)
""",
    evaluate="""
def evaluate(model, val_tokens, base_bytes):
    mixer = NgramMixer(1 << 22)
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    for begin in range(0, val_tokens.numel() - 1, SEQ):
        window = val_tokens[begin : begin + SEQ + 1]
        x, y = window[:-1].unsqueeze(0), window[1:]
        with torch.no_grad():
            nll = F.cross_entropy(model(x)[0], y, reduction="none")
        stream = window.numpy()
        history = np.stack([stream[:-2], stream[1:-1]], axis=1)
        nxt = stream[2:]
        p = mixer.mix(history, nxt, np.exp(-nll.numpy()[1:]))
        loss_sum += float(-np.log(np.maximum(p, 1e-12)).sum())
        byte_sum += float(base_bytes[y[1:]].sum())
        count += len(nxt)
        mixer.learn(history, nxt)
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
""",
)

_WINDOW = script(
    evaluate="""
def evaluate(model, val_tokens, base_bytes):
    counts = torch.zeros(1 << 22)
    totals = torch.zeros(1 << 22)
    primes = torch.tensor([36313, 27191, 51647])
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    for begin in range(0, val_tokens.numel() - 1, SEQ):
        window = val_tokens[begin : begin + SEQ + 1]
        x, y = window[:-1].unsqueeze(0), window[1:]
        with torch.no_grad():
            logp = F.log_softmax(model(x)[0], dim=-1).gather(-1, y[:, None]).squeeze(-1)
        grams = window.unfold(0, 3, 1)
        key = (grams * primes).sum(-1) % (1 << 22)
        prefix = (grams[:, :2] * primes[:2]).sum(-1) % (1 << 22)
        p_cache = counts[key] / totals[prefix].clamp(min=1)
        p = 0.8 * logp[1:].exp() + 0.2 * p_cache
        loss_sum -= p.clamp(min=1e-12).log().sum().item()
        byte_sum += base_bytes[y[1:]].sum().item()
        count += y.numel() - 1
        counts.scatter_add_(0, key, torch.ones_like(key, dtype=torch.float))
        totals.scatter_add_(0, prefix, torch.ones_like(prefix, dtype=torch.float))
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
"""
)

_LIST = scoring(
    helpers="""

def pair(context, target, order):
    h = 0
    for value in context:
        h = (h * 31337 + int(value)) & 0xFFFFFFF
    return h % (1 << 20), ((h ^ (int(target) * 92821)) * order) % (1 << 20)
""",
    setup="""ctx_table = np.zeros(1 << 20)
    full_table = np.zeros(1 << 20)""",
    mixture="""order_data = []
        for order in (4, 3, 2):
            order_data.append((order, *pair(tokens[t - order : t], tokens[t], order)))
        p = p_model
        for order, ctx, full in order_data:
            if ctx_table[ctx] >= 2:
                p = 0.5 * p_model + 0.5 * min(1.0, full_table[full] / ctx_table[ctx])
                break""",
    update="""for order, ctx, full in order_data:
            ctx_table[ctx] += 1
            full_table[full] += 1""",
)

_EVERY_CANDIDATE = scoring(
    setup="table = np.zeros(1 << 20)",
    mixture="""ctx = (int(tokens[t - 2]) * 36313 ^ int(tokens[t - 1]) * 27191) & 0xFFFFF
        keys = (ctx ^ np.arange(VOCAB) * 51647) & 0xFFFFF
        row = table[keys] + 0.01
        expert = row / row.sum()
        mixed = 0.7 * probs + 0.3 * expert
        p = mixed[tokens[t]]""",
    update="table[(ctx ^ int(tokens[t]) * 51647) & 0xFFFFF] += 1",
)

_ROWS = scoring(
    setup="rows = np.full((4096, VOCAB), 0.01)",
    mixture="""bucket = (int(tokens[t - 2]) * 36313 ^ int(tokens[t - 1]) * 27191) % 4096
        p = 0.7 * p_model + 0.3 * rows[bucket, tokens[t]] / rows[bucket].sum()""",
    update="rows[bucket, tokens[t]] += 1",
)

_EXACT = scoring(
    setup="seen = {}",
    mixture="""context = (int(tokens[t - 2]), int(tokens[t - 1]))
        followers = seen.get(context, {})
        total = sum(followers.values())
        p = p_model if total == 0 else (followers.get(int(tokens[t]), 0) + 2.0 * p_model) / (total + 2.0)""",
    update="""followers = seen.setdefault(context, {})
        followers[int(tokens[t])] = followers.get(int(tokens[t]), 0) + 1""",
)


class NgramTargetInKey(FlowRule):
    """A table is read under a key made with the target, for the target alone, and the value is scored."""

    id = "ngram-target-in-key"
    title = "a table is looked up under a key that holds the target"
    condition = Condition.CAUSALITY
    also = (Condition.NORMALISATION,)
    severity = Severity.VIOLATION
    rulings = (
        Ruling(
            "#677",
            datetime.date(2026, 3, 27),
            "valerio-oai",
            "hashed caches keyed with the target are closed, 33 of them",
        ),
        Ruling("#779", datetime.date(2026, 3, 27), "valerio-oai", "a look-up must not need the token that it predicts"),
    )
    what = "A score-time look-up whose hashed key holds the token being predicted, for that token only."
    why = "Collisions lend other contexts' counts to the target alone; over all candidates the values sum far above 1."
    legal = "Look up every vocabulary entry under the same context and divide by their sum, or count exactly."
    bad = (
        Example("inline in the evaluation loop", _INLINE),
        Example("keys from a mixer's method", _MIXER),
        Example("a window that includes the target", _WINDOW),
        Example("keys from a helper, kept in a list of tuples", _LIST),
    )
    good = (
        Example("every candidate is looked up and the row divided by its sum", _EVERY_CANDIDATE),
        Example("rows by context, divided by their totals", _ROWS),
        Example("exact contexts in dictionaries", _EXACT),
        Example("no n-grams at all", script()),
    )
    subject = re.compile(r"hash|ngram|n_gram|\^|table|cache", re.IGNORECASE)

    def evidence(self, audited: Audited) -> tuple[Evidence, ...]:
        """What the analysis found of it."""
        return audited.flow.target_keyed_reads
