"""Scorers written out by hand in numpy, honest and not, that leave the recordings which the tap would.

Each takes the stream, uint16 [N + 1], and returns reductions: arrays of per-token losses in the order in which the
scorer sums them up. The network is a table of bigram logits with a bias that test-time training moves.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from auditor.probe.design import Change, Design, call_changes, further_changes, leak_changes, make_design, single_change
from auditor.probe.record import Event, Line, Recording, Site

V = 24
WINDOW = 64
STRIDE = 16
BOS = 1
DESIGN = make_design(V, WINDOW)

Tokens = npt.NDArray[np.uint16]
Vector = npt.NDArray[np.float64]
Scorer = Callable[[Tokens], Iterable[Vector]]

SITE = Site("sum", "train_gpt.py", "evaluate", 42, 7)
_TABLE = np.random.default_rng(3).normal(size=(V, V))
_SECOND = 0.5 * np.random.default_rng(4).normal(size=(V, V))


class Model:
    """p(next | two tokens of the window), with a bias that learns."""

    def __init__(self) -> None:
        self.bias = np.zeros(V)

    def log_probabilities(self, window: Tokens) -> Vector:
        """[n, V] for each next token; what lies before the window is not seen."""
        before = np.concatenate([[BOS], window[:-1]])
        logits = _TABLE[window] + _SECOND[before] + self.bias
        return np.asarray(logits - np.log(np.exp(logits).sum(-1, keepdims=True)))

    def nll(self, tokens: Tokens) -> Vector:
        """[n - 1] losses of tokens[1:]."""
        log_p = self.log_probabilities(tokens[:-1])
        return np.asarray(-log_p[np.arange(len(log_p)), tokens[1:]])

    def train(self, tokens: Tokens, steps: int = 3) -> None:
        """Gradient steps on the bias."""
        for _ in range(steps):
            p = np.exp(self.log_probabilities(tokens[:-1]))
            p[np.arange(len(p)), tokens[1:]] -= 1.0
            self.bias = self.bias - 0.5 * p.mean(0)


def chunks(tokens: Tokens) -> Iterator[Tokens]:
    """Consecutive chunks, each with the token before it."""
    for begin in range(0, len(tokens) - 1, WINDOW):
        yield tokens[begin : begin + WINDOW + 1]


def plain(tokens: Tokens) -> Iterator[Vector]:
    """One pass over disjoint windows."""
    return (Model().nll(chunk) for chunk in chunks(tokens))


def sliding(tokens: Tokens) -> Iterator[Vector]:
    """Overlapping windows; those at the end are shorter and score the last tokens again."""
    for begin in range(0, len(tokens) - 1, STRIDE):
        window = tokens[begin : begin + WINDOW + 1]
        yield Model().nll(window)[0 if begin == 0 else -min(STRIDE, len(window) - 1) :]


def score_first(tokens: Tokens) -> Iterator[Vector]:
    """Honest test-time training."""
    model = Model()
    for chunk in chunks(tokens):
        yield model.nll(chunk)
        model.train(chunk)


def train_first(tokens: Tokens) -> Iterator[Vector]:
    """Trains on all of it, then scores."""
    model = Model()
    model.train(tokens)
    return (model.nll(chunk) for chunk in chunks(tokens))


def last_chunk_untrained(tokens: Tokens) -> Iterator[Vector]:
    """Each chunk is trained on before its score, except the last."""
    model = Model()
    for number, chunk in enumerate(chunks(tokens)):
        if (number + 1) * WINDOW < len(tokens) - 1:
            model.train(chunk)
        yield model.nll(chunk)


def slot(tokens: Tokens) -> Iterator[Vector]:
    """A bias fitted to each window, which it then scores."""
    for chunk in chunks(tokens):
        model = Model()
        model.train(chunk)
        yield model.nll(chunk)


def two_pass(tokens: Tokens) -> Iterator[Vector]:
    """Counts of the whole stream, then scores mixed with them."""
    counts = np.bincount(tokens, minlength=V) + 1.0
    for chunk in chunks(tokens):
        yield -np.log(0.5 * np.exp(-Model().nll(chunk)) + 0.5 * counts[chunk[1:]] / counts.sum())


def two_pass_cache(tokens: Tokens) -> Iterator[Vector]:
    """Counts of every longer context of the whole stream, then scores mixed with them in small chunks."""
    order, length = 6, len(tokens)
    contexts = [tuple(tokens[max(t - order, 0) : t].tolist()) for t in range(length)]
    singles = Counter(contexts)
    pairs = Counter(zip(contexts, tokens.tolist(), strict=True))
    for begin in range(1, length, STRIDE):
        chunk = range(begin, min(begin + STRIDE, length))
        nll = Model().nll(tokens[begin - 1 : chunk[-1] + 1])
        expert = np.array([pairs[contexts[t], int(tokens[t])] / singles[contexts[t]] for t in chunk])
        yield -np.log(0.5 * np.exp(-nll) + 0.5 * expert)


Rule = Callable[[Counter[tuple[int, int]], Counter[int], int, int, float], float]
"""Probability of a token, from counts of pairs and singles, the token before it, the token, and the model's p."""


def _mixed(tokens: Tokens, probability: Rule) -> Iterator[Vector]:
    """Losses mixed with bigram counts of what was scored, token by token."""
    pairs: Counter[tuple[int, int]] = Counter()
    singles: Counter[int] = Counter()
    for chunk in chunks(tokens):
        scores = []
        for before, token, loss in zip(chunk[:-1].tolist(), chunk[1:].tolist(), Model().nll(chunk), strict=True):
            scores.append(-np.log(probability(pairs, singles, before, token, float(np.exp(-loss)))))
            pairs[before, token] += 1
            singles[before] += 1
        yield np.array(scores)


def exact_cache(tokens: Tokens) -> Iterator[Vector]:
    """Honest: counts over their own sum."""
    return _mixed(tokens, lambda pairs, singles, b, t, p: (pairs[b, t] + 4.0 * p) / (singles[b] + 4.0))


def hit_only_cache(tokens: Tokens) -> Iterator[Vector]:
    """Mixes only where the true token was seen: what the others lose goes nowhere."""
    return _mixed(
        tokens,
        lambda pairs, singles, b, t, p: 0.5 * p + 0.5 * pairs[b, t] / singles[b] if pairs[b, t] else p,
    )


def hashed_cache(tokens: Tokens) -> Iterator[Vector]:
    """Two tables with eight buckets each: the ratio counts what collides."""
    pairs, singles = np.zeros(8), np.zeros(8)
    for chunk in chunks(tokens):
        scores = []
        for before, token, loss in zip(chunk[:-1].tolist(), chunk[1:].tolist(), Model().nll(chunk), strict=True):
            a, b = before * 7 % 8, (before * 13 + token * 5) % 8
            expert = min(pairs[b] / max(singles[a], 1.0), 1.0)
            scores.append(-np.log(0.5 * np.exp(-loss) + 0.5 * expert + 1e-9))
            pairs[b] += 1
            singles[a] += 1
        yield np.array(scores)


def oracle_min(tokens: Tokens) -> Iterator[Vector]:
    """The better of two models for each token."""
    return (np.minimum(Model().nll(chunk), np.log(V)) for chunk in chunks(tokens))


def gated_tilt(tokens: Tokens) -> Iterator[Vector]:
    """A boost of the hinted token that is normalised, and applied only where the target begins a word."""
    for chunk in chunks(tokens):
        log_p = Model().log_probabilities(chunk[:-1])
        hint = (chunk[:-1].astype(int) * 5) % V
        rows = np.arange(len(hint))
        z = 1.0 + np.exp(log_p[rows, hint]) * (np.e**2 - 1.0)
        tilted = -log_p[rows, chunk[1:]] - 2.0 * (hint == chunk[1:]) + np.log(z)
        yield np.where(chunk[1:] % 2 == 0, tilted, -log_p[rows, chunk[1:]])


def documents(tokens: Tokens) -> Iterator[Vector]:
    """Honest: documents sorted by length, scored in padded rows, the losses of the padding zero."""
    starts = [*np.flatnonzero(tokens == BOS).tolist(), len(tokens)]
    rows = [tokens[max(a - 1, 0) : b] for a, b in itertools.pairwise(starts)]
    rows.sort(key=len, reverse=True)
    out = np.zeros((len(rows), len(rows[0])))
    for row, document in enumerate(rows):
        out[row, : len(document) - 1] = Model().nll(document)
    yield out.ravel()


def adapted_documents(tokens: Tokens) -> Iterator[Vector]:
    """Honest: each document has a model of its own, which learns from chunks of it that were scored."""
    starts = [*np.flatnonzero(tokens == BOS).tolist(), len(tokens)]
    for a, b in itertools.pairwise(starts):
        document, model = tokens[max(a - 1, 0) : b], Model()
        for begin in range(0, len(document) - 1, STRIDE):
            chunk = document[begin : begin + STRIDE + 1]
            yield model.nll(chunk)
            model.train(chunk)


def last_document_first(tokens: Tokens) -> Iterator[Vector]:
    """Honest: the last document is scored and adapted to before the others."""
    model = Model()
    starts = [*np.flatnonzero(tokens == BOS).tolist(), len(tokens)]
    for a, b in reversed(list(itertools.pairwise(starts))):
        document = tokens[max(a - 1, 0) : b]
        yield model.nll(document)
        model.train(document)


def rows_by_chunk(tokens: Tokens) -> Iterator[Vector]:
    """Honest: a pass scores a chunk of each document, the longest first, and then all adapt on it together."""
    model = Model()
    starts = [*np.flatnonzero(tokens == BOS).tolist(), len(tokens)]
    rows = [tokens[max(a - 1, 0) : b] for a, b in itertools.pairwise(starts)]
    rows.reverse()
    for begin in range(0, max(len(row) for row in rows) - 1, STRIDE):
        parts = [part for row in rows if len(part := row[begin : begin + STRIDE + 1]) > 1]
        yield np.concatenate([model.nll(part) for part in parts])
        for part in parts:
            model.train(part)


def two_pass_pairs(tokens: Tokens) -> Iterator[Vector]:
    """Counts of all pairs of the stream, then scores mixed with them: few of which hold the last token's."""
    pairs = np.zeros((V, V))
    np.add.at(pairs, (tokens[:-1], tokens[1:]), 1.0)
    for chunk in chunks(tokens):
        own = np.exp(-Model().nll(chunk))
        yield -np.log((pairs[chunk[:-1], chunk[1:]] + 4.0 * own) / (pairs[chunk[:-1]].sum(-1) + 4.0))


def record(scorer: Scorer, tokens: Tokens, artifact: str = "model") -> Recording:
    """What the tap keeps of one run that prints its score."""
    values = [np.asarray(item, dtype=np.float64) for item in scorer(tokens)]
    noise = Event(Site("sum", "train_gpt.py", "train", 9, 3), np.array([2.5, 2.25]), 0)
    events = [noise, *(Event(SITE, item, order) for order, item in enumerate(values, 1))]
    every = np.concatenate(values)
    loss = every.sum() / np.count_nonzero(every)
    line = Line(len(events), f"final_int8_zlib_roundtrip_exact val_loss:{loss:.8f} val_bpb:{loss * 1.1:.8f}")
    return Recording("ok", "", "main", tuple(events), (line,), (), {"model.ptz": artifact})


def recordings(scorer: Scorer, *, whole: bool = False, design: Design = DESIGN) -> Mapping[Change, Recording]:
    """One run per change of the stream."""
    changes = (
        (*leak_changes(design), single_change(design), *further_changes(design))
        if whole
        else call_changes(design, design.positions)
    )
    return {change: record(scorer, design.apply(change)) for change in changes}
