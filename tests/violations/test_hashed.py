"""The published tables: what they hold, and what their ratios sum to."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.scoring.windows import plan_windows
from evaluator.settings import Published, ScoringSettings, WindowSettings
from evaluator.violations.hashed import WIDTHS, HashedCounts
from evaluator.violations.run import PublishedRun, run_published
from evaluator.violations.scores import Scores
from evaluator.violations.systems.pr779 import PRIMES

Stream = np.ndarray[Any, np.dtype[np.uint16]]


def slow_key(tokens: list[int], target: int | None, buckets: int) -> int:
    """The hash of a context, and of a pair, one token after the other."""
    key = 0
    for k, token in enumerate(tokens):
        key ^= token * PRIMES[k] % 2**64
    if target is not None:
        key ^= target * PRIMES[len(tokens)] % 2**64
    return key % buckets


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=12, max_size=60), st.sampled_from([1, 4, 16, 1024]))
def test_tables_and_ratios_are_those_of_the_definition(ids: list[int], buckets: int) -> None:
    tokens = np.array(ids, np.uint16)
    counts = HashedCounts(buckets, PRIMES)
    positions = np.arange(len(ids) - 1)
    present = np.array([positions >= width - 1 for width in WIDTHS])
    keys = counts.keys(tokens, positions)
    counts.update(keys, tokens[1:], present)

    contexts: Counter[tuple[int, int]] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    for width in WIDTHS:
        for p in range(width - 1, len(ids) - 1):
            context = ids[p - width + 1 : p + 1]
            contexts[width, slow_key(context, None, buckets)] += 1
            pairs[width, slow_key(context, ids[p + 1], buckets)] += 1
    p = len(ids) - 2
    every, hit = counts.ratios(keys[:, p], 6, present[:, p])
    for target in range(6):
        expected = None
        for width in reversed(WIDTHS):
            context = ids[p - width + 1 : p + 1]
            n = contexts[width, slow_key(context, None, buckets)]
            if n >= 2:
                expected = min(pairs[width, slow_key(context, target, buckets)], n) / n
                break
        assert hit == (expected is not None)
        assert every[target] == (expected or 0.0)


def test_buckets_are_a_power_of_two() -> None:
    with pytest.raises(ValueError, match="power of two"):
        HashedCounts(1000, PRIMES)


def poisson_mass(vocab_size: int, load: float) -> float:
    """``V E[min(F, C) / C | C >= 2]`` for independent Poisson(load) counts (systems.md 2.4)."""
    p = [math.exp(-load)]
    for k in range(1, 120):
        p.append(p[-1] * load / k)
    found = sum(p[c] * sum(p[f] * min(f, c) / c for f in range(120)) for c in range(2, 120))
    return vocab_size * found / sum(p[2:])


@pytest.mark.parametrize("buckets", [16_384, 4096, 1024])
def test_the_sum_over_the_vocabulary_follows_the_load_of_the_table(buckets: int) -> None:
    """On tokens without any structure, whose contexts are unique: all that the ratio measures is collisions."""
    n, vocab = 16_384, 512
    tokens = np.random.default_rng(5).integers(0, vocab, n + 200).astype(np.uint16)
    counts = HashedCounts(buckets, PRIMES)
    positions = np.arange(n)
    keys = counts.keys(tokens, np.arange(n + 150))
    counts.update(keys[:, :n], tokens[1 : n + 1], np.array([positions >= width - 1 for width in WIDTHS]))
    # Order 7 alone: lower orders are asked only where its context was counted fewer than two times.
    only = np.zeros(len(WIDTHS), np.bool_)
    only[-1] = True
    sums = [counts.ratios(keys[:, p], vocab, only)[0].sum() for p in range(n, n + 150)]
    hits = [total for total in sums if total > 0]
    assert np.mean(hits) == pytest.approx(poisson_mass(vocab, n / buckets), rel=0.15)


def run_779(tokens: Stream, vocab: int, chunk: int, buckets: int) -> Scores:
    """#779 with a uniform model."""
    credited = np.ones(len(tokens) - 1, np.uint16)
    scoring = ScoringSettings(WindowSettings("W-B", 16, 8), chunk)
    plan = plan_windows(scoring.windows, len(credited))
    scores = Scores(credited, lambda _: None)
    published = Published("pr779", {"C2": "sums"}, "pr779-legal", settings={"buckets": buckets})
    run_published(PublishedRun(None, vocab, tokens, credited, plan, scoring, scores), published)
    return scores


def test_779_without_a_model_is_the_published_formula() -> None:
    vocab, chunk, buckets = 12, 128, 64
    tokens = np.random.default_rng(1).integers(0, vocab, 513).astype(np.uint16)
    tokens[-1] = vocab - 1
    ids = tokens.tolist()
    scores = run_779(tokens, vocab, chunk, buckets)
    assert scores.exactly_once

    contexts: Counter[tuple[int, int]] = Counter()
    pairs: Counter[tuple[int, int]] = Counter()
    weight = 0.05 + 0.55 / (1 + math.exp(-2 * (math.log(vocab) - 4)))
    for start in range(0, 512, chunk):
        for p in range(start, start + chunk):
            ratio = 1 / vocab
            for width in reversed(WIDTHS):
                context = ids[max(p - width + 1, 0) : p + 1]
                n = contexts[width, slow_key(context, None, buckets)]
                if n >= 2:
                    pair = slow_key(context, ids[p + 1], buckets)
                    ratio = min(pairs[width, pair], n) / n
                    break
            q = 1 / vocab if start == 0 else (1 - weight) / vocab + weight * ratio
            assert scores.nll[p] * 2.0**-30 == pytest.approx(-math.log(q), abs=1e-8)
        for width in WIDTHS:
            for p in range(start + width - 1, start + chunk - 1):
                context = ids[p - width + 1 : p + 1]
                contexts[width, slow_key(context, None, buckets)] += 1
                pairs[width, slow_key(context, ids[p + 1], buckets)] += 1


def test_779_claims_more_the_fuller_its_tables_are() -> None:
    """Nothing can be predicted here: an honest score is ln V a token."""
    tokens = np.random.default_rng(3).integers(0, 256, 4097).astype(np.uint16)
    runs = [run_779(tokens, 256, 512, buckets) for buckets in (1 << 15, 1 << 10, 1 << 8)]
    claims = [run.total * 2.0**-30 / run.scored for run in runs]
    masses = [np.mean([mass for _, mass, _ in run.masses]) for run in runs]
    assert claims == sorted(claims, reverse=True)
    assert masses == sorted(masses)
    assert claims[-1] < 0.5 * math.log(256)
    assert masses[-1] > 50
    assert all(error < 1e-12 for run in runs for _, _, error in run.masses)
