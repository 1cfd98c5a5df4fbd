"""The published systems with a small model, against re-implementations that go token by token."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from evaluator.ledger import QUANTUM
from evaluator.scoring.windows import plan_windows
from evaluator.settings import AdaptSettings, DocumentSettings, Published, ScoringSettings, WindowSettings
from evaluator.violations.hashed import WIDTHS
from evaluator.violations.hints import WIDTH, find_hints
from evaluator.violations.run import PublishedRun, run_published
from evaluator.violations.scores import Scores
from evaluator.violations.systems.pr940 import PRIMES
from reference_model import GPT, GPTConfig

VOCAB, LENGTH, STRIDE, RANKS = 32, 16, 8, 2
CONFIG = GPTConfig(
    vocab_size=VOCAB, model_dim=16, num_layers=2, num_heads=2, num_kv_heads=1, mlp_hidden=32, rope_dims=4,
    context_len=LENGTH,
)  # fmt: skip
Stream = np.ndarray[Any, np.dtype[np.uint16]]


def model() -> GPT:
    made = GPT(CONFIG, seed=2)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in made.parameters():  # output projections start at zero
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


def stream(positions: int) -> Stream:
    return np.random.default_rng(8).integers(0, VOCAB, positions + 1).astype(np.uint16)


def published(system: str, tokens: Stream, ttt: AdaptSettings, chunk: int, settings: dict[str, Any]) -> Scores:
    credited = np.ones(len(tokens) - 1, np.uint16)
    scoring = ScoringSettings(WindowSettings("W-A", LENGTH, STRIDE), chunk, micro_batch=3, ttt=ttt)
    plan, scores = plan_windows(scoring.windows, len(credited)), Scores(credited, lambda _: None)
    run = PublishedRun(model(), VOCAB, tokens, credited, plan, scoring, scores)
    run_published(run, Published(system, {"C3": "x"}, "x", settings={"ranks": RANKS, **settings}))
    return scores


def step(net: GPT, optimizer: torch.optim.Optimizer, tokens: Stream, batches: list[list[int]]) -> None:
    """One step on the mean of the ranks' means; each batch lists first positions of sequences."""
    optimizer.zero_grad()
    for starts in batches:
        ids = torch.stack([torch.from_numpy(tokens[s : s + LENGTH + 1].astype(np.int64)) for s in starts])
        (net(ids[:, :-1], ids[:, 1:]) / len(batches)).backward()
    torch.nn.utils.clip_grad_norm_([p for p in net.parameters() if p.requires_grad], 1.0)
    optimizer.step()


def window(net: GPT, tokens: Stream, start: int) -> tuple[list[int], torch.Tensor]:
    """Scored positions of one window W-A and their log-probabilities ``(n, V)``."""
    stop = min(start + LENGTH, len(tokens) - 1)
    with torch.no_grad():
        logits = net(torch.from_numpy(tokens[start:stop].astype(np.int64))[None])[0].double()
    first = start if start == 0 else max(stop - STRIDE, start)
    return list(range(first, stop)), F.log_softmax(logits, -1)[first - start :]


def test_398_trains_on_everything_and_then_scores_everything() -> None:
    tokens = stream(6 * LENGTH)
    ttt = AdaptSettings(lr=0.05, schedule="constant", epochs=3, step_sequences=2 * RANKS)
    scores = published("pr398", tokens, ttt, LENGTH, {})

    net = model()
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    for _ in range(3):
        for batches in ([[0, 1], [3, 4]], [[2], [5]]):  # rank 0 owns sequences 0 to 2, rank 1 those from 3 to 5
            step(net, optimizer, tokens, [[s * LENGTH for s in batch] for batch in batches])
    total, count = 0.0, 0
    for start in range(0, 6 * LENGTH, STRIDE):
        positions, log_probs = window(net, tokens, start)
        total -= sum(float(log_probs[i, tokens[p + 1]]) for i, p in enumerate(positions))
        count += len(positions)
    assert scores.scored == count == 6 * LENGTH + STRIDE  # windows W-A score the last positions again
    assert not scores.exactly_once
    assert scores.total * QUANTUM == pytest.approx(total, abs=1e-4)
    assert all(mass == pytest.approx(1, abs=1e-9) for _, mass, _ in scores.masses)


def test_940_trains_in_a_first_pass_and_scores_with_cold_tables_on_each_rank_in_a_second() -> None:
    tokens, buckets = stream(8 * LENGTH + 4), 16
    ids = tokens.tolist()
    ttt = AdaptSettings(
        optimizer="adamw", lr=0.01, schedule="constant", epochs=2, step_sequences=RANKS, freeze=("blocks.0.*",)
    )
    scores = published("pr940", tokens, ttt, 4 * LENGTH, {"buckets": buckets})

    net = model()
    for parameter in net.blocks[0].parameters():
        parameter.requires_grad_(False)
    optimizer = torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], 0.01, weight_decay=0.0)
    for chunk in (0, 4):
        for _ in range(2):
            for offset in (0, 1):
                step(net, optimizer, tokens, [[(chunk + r * 2 + offset) * LENGTH] for r in range(RANKS)])

    starts = list(range(0, 8 * LENGTH + 4, STRIDE))
    expected: dict[int, float] = {}
    total = 0.0
    for share in (starts[: len(starts) // 2], starts[len(starts) // 2 :]):
        contexts: Counter[tuple[int, int]] = Counter()
        pairs: Counter[tuple[int, int]] = Counter()

        def bucket(p: int, width: int, target: int | None) -> tuple[int, int]:
            key = 0
            for k, token in enumerate(ids[p - width + 1 : p + 1]):
                key ^= token * PRIMES[k]
            return width, (key if target is None else key ^ target * PRIMES[width]) % buckets

        for start in share:
            positions, log_probs = window(net, tokens, start)
            for i, p in enumerate(positions):
                q = math.exp(float(log_probs[i, ids[p + 1]]))
                entropy = -float((log_probs[i].exp() * log_probs[i]).sum())
                weight = 0.05 + 0.55 / (1 + math.exp(-2 * (entropy - 4)))
                for width in reversed(WIDTHS):
                    if p + 1 >= width and (n := contexts[bucket(p, width, None)]) >= 2:
                        q = (1 - weight) * q + weight * min(pairs[bucket(p, width, ids[p + 1])], n) / n
                        break
                total -= math.log(max(q, 1e-12))
                expected.setdefault(p, -math.log(max(q, 1e-12)))
            for p in positions:
                for width in WIDTHS:
                    if p + 1 >= width:
                        contexts[bucket(p, width, None)] += 1
                        pairs[bucket(p, width, ids[p + 1])] += 1
    np.testing.assert_allclose(scores.nll * QUANTUM, np.array([expected[p] for p in range(len(ids) - 1)]), atol=2e-5)
    assert scores.total * QUANTUM == pytest.approx(total, abs=1e-3)
    assert max(mass for _, mass, _ in scores.masses) > 2
    assert all(error < 1e-9 for _, _, error in scores.masses)


def run_2140(tokens: Stream, **settings: Any) -> Scores:
    """Documents begin with token 1."""
    documents = DocumentSettings(batch=2, rank=2, alpha=4.0, lr=0.02, chunks=((8, 4),), last_chunk=8)
    scoring = ScoringSettings(WindowSettings("W-C", LENGTH, STRIDE), LENGTH, documents=documents)
    credited = np.ones(len(tokens) - 1, np.uint16)
    scores = Scores(credited, lambda _: None)
    run = PublishedRun(model(), VOCAB, tokens, credited, plan_windows(scoring.windows, len(credited)), scoring, scores)
    chosen = {"prefix_documents": 2, "global_chunk": 2 * LENGTH, "global_lr": 0.1, "ranks": RANKS, **settings}
    run_published(run, Published("pr2140", {"C1": "x"}, "x", settings=chosen))
    return scores


def test_2140_lets_later_documents_change_what_earlier_ones_score() -> None:
    rng = np.random.default_rng(6)
    lengths = (6, 9, 30, 40, 12)
    tokens = np.concatenate([[1, *rng.integers(2, VOCAB, n - 1)] for n in lengths]).astype(np.uint16)
    first = run_2140(tokens)
    assert first.exactly_once
    assert all(mass == pytest.approx(1, abs=1e-9) and error < 1e-9 for _, mass, error in first.masses)

    later = sum(lengths[:3]) + 1
    rewritten = tokens.copy()
    rewritten[later:] = np.where(tokens[later:] == 1, 1, rng.integers(2, VOCAB, len(tokens) - later))
    changed = np.abs(run_2140(rewritten).nll - first.nll)[: later - 1] * QUANTUM > 1e-6
    assert changed[: sum(lengths[:2]) - 1].any()  # the shortest documents, scored last

    alone = run_2140(tokens, prefix_documents=0)
    assert np.abs(alone.nll - first.nll).max() * QUANTUM > 1e-4  # the global phase trains the weights


def test_2140_hints_are_the_favourite_of_the_last_fifteen_tokens() -> None:
    rng = np.random.default_rng(2)
    tokens = np.tile(rng.integers(2, VOCAB, 20), 6).astype(np.uint16)
    tokens[rng.random(len(tokens)) < 0.02] = 3
    ids = [int(tokens[1]), *tokens[1:].tolist()]  # the published ring begins with the first target, twice
    followers: dict[tuple[int, ...], Counter[int]] = {}
    hints = find_hints(tokens, 0.8)
    for position in range(len(tokens) - 1):
        context = tuple(ids[max(position + 1 - WIDTH, 0) : position + 1])
        hint = -1
        if len(context) == WIDTH:
            seen = followers.setdefault(context, Counter())
            if seen and max(seen.values()) / seen.total() >= 0.8:
                hint = max(seen, key=lambda token: seen[token])
            seen[ids[position + 1]] += 1
        assert hints[position] == hint
    assert (hints == tokens[1:]).sum() > 30
