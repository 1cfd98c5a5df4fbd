"""The score-first loop: score a chunk, credit it, only then learn from it.

One loop serves every legal evaluation. What differs between systems is settings: windows, what adapts, which mixer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from evaluator.ledger import Ledger, Nanonats, ScoredTokens, Tokens, to_fixed_point
from evaluator.mixer.base import BaseScores, Float64, Mixer
from evaluator.scoring.adapt import Adapter
from evaluator.scoring.network import ChunkScores
from evaluator.scoring.ranks import Ranks
from evaluator.scoring.windows import WindowPlan

PROOFS = 16
"""Chunks at whose first position the whole distribution is summed up, evenly spread over the run."""


class Predictor(Protocol):
    """What says something of every position: a network, or the uniform distribution in its place."""

    @property
    def tokens(self) -> Tokens:
        """The stream."""

    @property
    def plan(self) -> WindowPlan:
        """The windows."""

    def score(self, windows: range) -> ChunkScores:
        """What it says of the scored positions of ``windows``."""

    def row(self, window: int, windows: range, position: int) -> Float64:
        """All log-probabilities at ``position``, ``(V,)``."""


@dataclass(slots=True)
class Phases:
    """Wall seconds that this rank spent per phase."""

    network: float = 0.0
    mixer: float = 0.0
    adapt: float = 0.0
    proof: float = 0.0


@dataclass(frozen=True, slots=True)
class Proof:
    """The whole distribution at one position, summed up.

    Attributes:
        position: where.
        mass: ``sum_v p(v)``.
        target_error: ``|p(target) - exp(-credited nll)|`` before rounding: the scored value *is* the distribution's.
    """

    position: int
    mass: float
    target_error: float


def score_stream(
    network: Predictor,
    ledger: Ledger,
    mixer: Mixer | None,
    adapter: Adapter | None,
    *,
    chunk: int,
    ranks: Ranks,
    on_chunk: Callable[[Ledger], None],
) -> tuple[Phases, list[Proof]]:
    """Score the whole stream into ``ledger``.

    Args:
        network: scores windows.
        ledger: receives the scores; mints what ``mixer`` and ``adapter`` learn from.
        mixer: rank 0's mixer; None on the other ranks, which receive the mixed scores.
        adapter: test-time training, or None.
        chunk: positions per turn.
        ranks: this process among all.
        on_chunk: called after each credited chunk.
    """
    phases, proofs = Phases(), []
    chunks = network.plan.chunks(chunk)
    proven = set(proven_chunks(len(chunks)))
    with ThreadPoolExecutor(1) as ahead:
        for number, windows in enumerate(chunks):
            stop = int(network.plan.stop[windows[-1]])
            counting = ahead.submit(mixer.prepare, stop) if mixer else None
            clock = time.perf_counter()
            scores = network.score(windows)
            clock = _lap(phases, "network", clock)
            # A position's first score counts; plans that score it again (W-A, W-B off the grid) say so in the ledger.
            fresh = np.flatnonzero(_first_occurrence(scores.position, ledger.position))
            if counting:
                counting.result()
            position = ledger.position
            whole = (
                _distribution(network, mixer, windows, scores.base, fresh[0]) if mixer and number in proven else None
            )
            clock = _lap(phases, "proof", clock)
            nll = torch.zeros(len(scores.position), dtype=torch.int64, device=ranks.device)
            if mixer:
                log_prob = _mix(mixer, scores.base, fresh, stop)
                nll = torch.from_numpy(to_fixed_point(-log_prob)).to(ranks.device)
                if whole is not None:
                    proofs.append(_proof(whole, position, int(network.tokens[position + 1]), log_prob[fresh[0]]))
            ranks.share(nll)
            scored = _credit(ledger, scores.position, nll.cpu().numpy(), fresh)
            if mixer:
                mixer.learn(scored)
            clock = _lap(phases, "mixer", clock)
            on_chunk(ledger)
            if adapter and number < len(chunks) - 1:
                adapter.adapt(scored)
            _lap(phases, "adapt", clock)
    return phases, proofs


def proven_chunks(chunks: int) -> list[int]:
    """Numbers of the chunks at whose first position the whole distribution is summed up."""
    spread: list[int] = np.linspace(0, chunks - 1, min(PROOFS, chunks)).round().astype(int).tolist()
    return spread


def _lap(phases: Phases, phase: str, since: float) -> float:
    now = time.perf_counter()
    setattr(phases, phase, getattr(phases, phase) + now - since)
    return now


def _first_occurrence(position: np.typing.NDArray[np.int64], credited: int) -> np.typing.NDArray[np.bool_]:
    """Which scores are the first of their position; positions before ``credited`` have theirs already."""
    first = np.zeros(len(position), np.bool_)
    first[np.unique(position, return_index=True)[1]] = True
    return first & (position >= credited)


def _mix(mixer: Mixer, base: BaseScores, fresh: np.typing.NDArray[np.int64], stop: int) -> Float64:
    """Log-probabilities: mixed for first scores; a second score is the network's own, for the mixer has moved on."""
    log_prob = base.target.copy()
    entropy = None if base.entropy is None else base.entropy[fresh]
    hint = None if base.hint is None else base.hint[fresh]
    log_prob[fresh] = mixer.log_prob(stop, BaseScores(base.target[fresh], entropy, hint))
    return log_prob


def _distribution(network: Predictor, mixer: Mixer, windows: range, base: BaseScores, score: int) -> Float64:
    """The whole distribution at the mixer's next position, which is number ``score`` among the chunk's scores."""
    position = mixer.position
    window = next(w for w in windows if network.plan.first[w] <= position < network.plan.stop[w])
    entropy = None if base.entropy is None else float(base.entropy[score])
    return mixer.distribution(network.row(window, windows, position), entropy)


def _proof(whole: Float64, position: int, target: int, log_prob: float) -> Proof:
    return Proof(position, float(whole.sum()), abs(float(whole[target]) - math.exp(log_prob)))


def _credit(
    ledger: Ledger,
    position: np.typing.NDArray[np.int64],
    nll: Nanonats,
    fresh: np.typing.NDArray[np.int64],
) -> ScoredTokens:
    scored = ledger.credit(ledger.position, nll[fresh])
    again = np.ones(len(position), np.bool_)
    again[fresh] = False
    if again.any():
        ledger.credit_again(position[again], nll[again])
    return scored
