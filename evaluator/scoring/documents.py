"""Scores per document with adapters that learn from the document's own scored prefix (systems.md 5.4).

The legal form of #2140's test-time training. What a position's score depends on is the artifact and its document's
prefix, nothing else: adapters start anew with every document, chunk lengths and windows follow the position in the
document and not its length, and the model itself never moves. So documents can be batched and dealt to processes in any
order, and a decoder that goes from left to right gets the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from evaluator.ledger import Ledger, ScoredTokens, Tokens, to_fixed_point
from evaluator.mixer.base import BaseScores, Float64, Int32
from evaluator.scoring.lora import DocumentAdapters
from evaluator.scoring.network import ChunkScores
from evaluator.scoring.ranks import Ranks
from evaluator.scoring.windows import WindowPlan
from evaluator.settings import DocumentSettings
from reference_model import GPT

Int64 = npt.NDArray[np.int64]


def chunk_edges(steps: Sequence[tuple[int, int]], last: int, positions: int) -> list[int]:
    """Where chunks begin in a document, and where the last one nominally ends: at or after ``positions``.

    Args:
        steps: (limit, length): chunks that begin before ``limit`` have ``length`` positions.
        last: length of the chunks beyond all limits.
        positions: of the document.
    """
    edges = [0]
    while edges[-1] < positions:
        edges.append(edges[-1] + next((length for limit, length in steps if edges[-1] < limit), last))
    return edges


def document_spans(starts: Int64, positions: int) -> list[tuple[int, int]]:
    """(first position, end) of each document; a beginning without a BOS counts as one."""
    edges = np.unique(np.concatenate([[0], starts[starts < positions], [positions]])).tolist()
    return list(pairwise(edges))


class Documents:
    """Scores all documents, then gives the scores out in stream order; a ``Predictor`` for the score-first loop.

    Args:
        model: the model.
        tokens: uint16 ``(T + 1,)``.
        plan: only its chunks matter: in what portions the ledger and the mixer take the scores.
        starts: positions of the documents' BOS.
        settings: batches, chunks and adapters.
        ranks: this process among all; batches are dealt out.
        hints: hint token per position, or None.
        entropy: whether the mixer needs the entropy.
        rows: positions whose whole distribution will be asked for.
        on_batch: told how far this rank is with its share, as a number of all positions.
    """

    def __init__(
        self,
        model: GPT,
        tokens: Tokens,
        plan: WindowPlan,
        starts: Int64,
        settings: DocumentSettings,
        ranks: Ranks,
        *,
        hints: Int32 | None,
        entropy: bool,
        rows: Sequence[int],
        on_batch: Callable[[int], None] = lambda _position: None,
    ) -> None:
        self.model, self.tokens, self.plan, self.settings, self.ranks = model, tokens, plan, settings, ranks
        self.hints, self.entropy, self.on_batch = hints, entropy, on_batch
        # Longest first, so that the documents of a batch end at about the same time.
        self.spans = sorted(document_spans(starts, plan.positions), key=lambda span: (span[0] - span[1], span[0]))
        self.adapters = DocumentAdapters(model, settings.batch, settings)
        self.steps = 0
        self._rows = {position: number for number, position in enumerate(rows)}
        self._whole = torch.zeros(len(rows), model.config.vocab_size, dtype=torch.float64, device=ranks.device)
        self._scores: Float64 | None = None
        self._done, self._share = 0, 0  # positions that this rank has scored, and that it is dealt

    def score(self, windows: range) -> ChunkScores:
        """The scores of the positions of ``windows``; the first call scores the whole stream."""
        if self._scores is None:
            self._scores = self._score_all()
        here = slice(int(self.plan.first[windows[0]]), int(self.plan.stop[windows[-1]]))
        target, entropy, hint = self._scores[:, here]
        base = BaseScores(target, entropy if self.entropy else None, hint if self.hints is not None else None)
        return ChunkScores(np.arange(here.start, here.stop), base)

    def row(self, window: int, windows: range, position: int) -> Float64:
        """The log-probabilities kept for ``position``."""
        kept: Float64 = self._whole[self._rows[position]].cpu().numpy()
        return kept

    def _score_all(self) -> Float64:
        """Target, entropy and hint of every position, float64 ``(3, T)``, on every rank."""
        buffer = torch.zeros(3, self.plan.positions, dtype=torch.float64, device=self.ranks.device)
        size = self.settings.batch
        mine = [self.spans[size * i : size * (i + 1)] for i in self.ranks.mine(math.ceil(len(self.spans) / size))]
        self._share = sum(stop - start for spans in mine for start, stop in spans)
        for spans in mine:
            self._batch(spans, buffer)
        self.ranks.merge(buffer)
        self.ranks.merge(self._whole)
        scores: Float64 = buffer.cpu().numpy()
        return scores

    def _batch(self, spans: Sequence[tuple[int, int]], buffer: torch.Tensor) -> None:
        """Score documents side by side, chunk by chunk; every forward pass has ``batch`` rows."""
        self.adapters.draw()
        self.adapters.restart()
        ledgers = [Ledger(self.tokens[start : stop + 1]) for start, stop in spans]
        longest = max(stop - start for start, stop in spans)
        edges = chunk_edges(self.settings.chunks, self.settings.last_chunk, longest)
        for first, nominal in pairwise(edges):
            losses, log_probs = self._forward(spans, first, nominal)
            scored: list[ScoredTokens | None] = [None] * self.settings.batch
            for row, (start, stop) in enumerate(spans):
                n = min(nominal, stop - start) - first
                if n <= 0:
                    continue
                self._keep(buffer, log_probs[row, :n], start + first)
                self._done += n
                credited = ledgers[row].credit(first, to_fixed_point(-buffer[0, start + first :][:n].cpu().numpy()))
                if nominal < stop - start:  # there is more of the document for it to serve
                    scored[row] = credited
            if any(tokens is not None for tokens in scored):
                self.adapters.adapt(losses, scored)
                self.steps += 1
            self.on_batch(self._done * self.plan.positions // self._share)

    def _forward(self, spans: Sequence[tuple[int, int]], first: int, nominal: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses ``(batch, n)`` with gradients and float64 log-probabilities ``(batch, n, V)`` of one chunk."""
        begin = max(nominal - self.plan.length, 0)
        ids = np.zeros((self.settings.batch, nominal - begin + 1), np.int64)
        for row, (start, stop) in enumerate(spans):
            text = self.tokens[start + begin : min(start + nominal, stop) + 1]
            ids[row, : len(text)] = text
        on_device = torch.from_numpy(ids).to(self.ranks.device)
        with torch.enable_grad():
            logits = self.adapters.logits(on_device[:, :-1], slice(first - begin, nominal - begin))
            targets = on_device[:, 1 + first - begin :]
            losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
        return losses, torch.log_softmax(logits.detach().double(), -1)

    def _keep(self, buffer: torch.Tensor, log_probs: torch.Tensor, position: int) -> None:
        """Enter what the positions from ``position`` on say of target, entropy and hint."""
        here = slice(position, position + len(log_probs))

        def gather(ids: npt.NDArray[np.int64]) -> torch.Tensor:
            return log_probs.gather(-1, torch.from_numpy(ids).to(log_probs.device)[:, None])[:, 0]

        buffer[0, here] = gather(self.tokens[here.start + 1 : here.stop + 1].astype(np.int64))
        if self.entropy:
            buffer[1, here] = -(log_probs.exp() * log_probs).sum(-1)
        if self.hints is not None:
            buffer[2, here] = gather(np.maximum(self.hints[here], 0).astype(np.int64))
        for p in self._rows.keys() & set(range(here.start, here.stop)):
            self._whole[self._rows[p]] = log_probs[p - position]
