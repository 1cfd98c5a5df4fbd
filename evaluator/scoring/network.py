"""What the network says of the positions of a chunk.

Every forward pass has one shape, ``(micro_batch, S)``, and every application of the output head one shape,
``micro_batch * stride`` positions: on CPU and GPU alike other shapes select other kernels and give other bits. Short
windows and short batches are padded with token 0 on the right, which causal attention never sees.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from evaluator.ledger import Tokens
from evaluator.mixer.base import BaseScores, Float64, Int32
from evaluator.scoring.ranks import Ranks
from evaluator.scoring.windows import WindowPlan
from reference_model import GPT


@dataclass(frozen=True, slots=True)
class ChunkScores:
    """Scores of the windows of one chunk, window after window (a position can occur twice under W-A and W-B).

    Attributes:
        position: int64 ``(n,)``: the position of each score, in the order of the windows.
        base: what the network says there.
    """

    position: np.typing.NDArray[np.int64]
    base: BaseScores


class Network:
    """The reference GPT as a scorer of windows.

    Args:
        model: the model, in evaluation mode, on ``ranks.device``.
        tokens: uint16 ``(T + 1,)``.
        plan: the windows.
        micro_batch: windows per forward pass.
        ranks: this process among all.
        hints: hint token per position (-1: none), if the mixer has hints.
        entropy: whether the mixer needs the entropy.
        on_batch: told the position up to which this rank has put windows through the network.
    """

    def __init__(
        self,
        model: GPT,
        tokens: Tokens,
        plan: WindowPlan,
        micro_batch: int,
        ranks: Ranks,
        *,
        hints: Int32 | None,
        entropy: bool,
        on_batch: Callable[[int], None] = lambda _position: None,
    ) -> None:
        self.model, self.tokens, self.plan, self.ranks = model, tokens, plan, ranks
        self.micro_batch, self.hints, self.entropy, self.on_batch = micro_batch, hints, entropy, on_batch

    def score(self, windows: range) -> ChunkScores:
        """Score ``windows``: this rank does its share of the micro-batches, then every rank has all of them."""
        batches = [windows[i : i + self.micro_batch] for i in range(0, len(windows), self.micro_batch)]
        sizes = (self.plan.stop - self.plan.first)[windows.start : windows.stop]
        ends = np.cumsum(sizes)
        buffer = torch.zeros(3, int(ends[-1]), dtype=torch.float64, device=self.ranks.device)
        for number in self.ranks.mine(len(batches)):
            batch = batches[number]
            offset = int(ends[batch.start - windows.start] - sizes[batch.start - windows.start])
            values = self._batch(batch)
            buffer[:, offset : offset + values.shape[1]] = values
            self.on_batch(int(self.plan.stop[batch[-1]]))
        self.ranks.merge(buffer)
        target, entropy, hint = buffer.cpu().numpy()
        position = np.concatenate([np.arange(self.plan.first[w], self.plan.stop[w]) for w in windows])
        return ChunkScores(
            position,
            BaseScores(target, entropy if self.entropy else None, hint if self.hints is not None else None),
        )

    def row(self, window: int, windows: range, position: int) -> Float64:
        """All log-probabilities (nats, float64 ``(V,)``) at ``position``, which ``window`` scores.

        Repeats the very micro-batch that scored the position, so the bits are those of the score.
        """
        start = windows.start + (window - windows.start) // self.micro_batch * self.micro_batch
        batch = range(start, min(start + self.micro_batch, windows.stop))
        offset = position - int(self.plan.first[window])
        blocks = _blocks(self.plan, batch)
        number = next(i for i, (w, block) in enumerate(blocks) if w == window and block == offset // self.plan.stride)
        with torch.no_grad():
            hidden = self._hidden(batch)
            group = number // self.micro_batch * self.micro_batch
            logits = self._logits(hidden, batch, blocks[group : group + self.micro_batch])
        return torch.log_softmax(logits[number - group, offset % self.plan.stride], -1).cpu().numpy()

    def _hidden(self, batch: range) -> torch.Tensor:
        """Final hidden states of a micro-batch, ``(micro_batch, S, E)``."""
        inputs = np.zeros((self.micro_batch, self.plan.length), np.int64)
        for row, window in enumerate(batch):
            start = int(self.plan.start[window])
            stop = min(start + self.plan.length, self.plan.positions)
            inputs[row, : stop - start] = self.tokens[start:stop]
        return self.model.hidden(torch.from_numpy(inputs).to(self.ranks.device))

    def _logits(self, hidden: torch.Tensor, batch: range, blocks: Sequence[tuple[int, int]]) -> torch.Tensor:
        """Float64 logits ``(micro_batch, stride, V)`` of up to ``micro_batch`` blocks of ``stride`` positions."""
        stride = self.plan.stride
        states = hidden.new_zeros(self.micro_batch, stride, hidden.shape[-1])
        for i, (window, block) in enumerate(blocks):
            offset = int(self.plan.first[window] - self.plan.start[window]) + block * stride
            states[i, : self.plan.length - offset] = hidden[window - batch.start, offset : offset + stride]
        return self.model.logits(states).double()

    @torch.no_grad()
    def _batch(self, batch: range) -> torch.Tensor:
        """Rows target, entropy, hint (float64) for the scored positions of a micro-batch, window after window."""
        hidden = self._hidden(batch)
        blocks = _blocks(self.plan, batch)
        parts: list[torch.Tensor] = []
        for group in range(0, len(blocks), self.micro_batch):
            chosen = blocks[group : group + self.micro_batch]
            logits = self._logits(hidden, batch, chosen)
            lse = torch.logsumexp(logits, -1)
            window, block = np.array(chosen).T
            position = (self.plan.first[window] + block * self.plan.stride)[:, None] + np.arange(self.plan.stride)
            valid = position < self.plan.stop[window][:, None]
            position[~valid] = 0
            rows = [self._gather(logits, self.tokens[position + 1].astype(np.int64)) - lse]
            rows.append(
                lse - (torch.exp(logits - lse[..., None]) * logits).sum(-1) if self.entropy else torch.zeros_like(lse)
            )
            if self.hints is not None:
                rows.append(self._gather(logits, np.maximum(self.hints[position], 0).astype(np.int64)) - lse)
            else:
                rows.append(torch.zeros_like(lse))
            parts.append(torch.stack(rows)[:, : len(chosen)][:, torch.from_numpy(valid)])
        return torch.cat(parts, 1)

    def _gather(self, logits: torch.Tensor, ids: np.typing.NDArray[np.int64]) -> torch.Tensor:
        """Logits ``(micro_batch, stride)`` of the tokens ``ids``, shape ``(blocks, stride)``."""
        index = torch.zeros(logits.shape[:2], dtype=torch.int64)
        index[: len(ids)] = torch.from_numpy(ids)
        return logits.gather(-1, index.to(logits.device)[..., None])[..., 0]


def _blocks(plan: WindowPlan, batch: range) -> list[tuple[int, int]]:
    """Scored positions of a micro-batch in blocks of at most ``stride``: pairs (window, number of the block in it)."""
    return [
        (window, block)
        for window in batch
        for block in range(math.ceil((int(plan.stop[window]) - int(plan.first[window])) / plan.stride))
    ]
