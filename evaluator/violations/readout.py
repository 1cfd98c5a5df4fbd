"""What a model says of the scored positions of each window; the published mixers read more of it than ours do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from evaluator.ledger import Tokens
from evaluator.scoring.windows import WindowPlan
from reference_model import GPT

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Span:
    """The scored positions ``first .. stop - 1`` of one window.

    Attributes:
        start: first position of the window.
        target: log-probability (nats) of each target, float64 ``(stop - first,)``.
        entropy: of each distribution, nats.
        row: the probabilities ``(V,)`` at an offset from ``first``.
    """

    start: int
    first: int
    stop: int
    target: Float64
    entropy: Float64
    row: Callable[[int], Float64]


class Readout(ABC):
    """Reads windows one micro-batch after the other."""

    def __init__(self, tokens: Tokens, plan: WindowPlan, vocab_size: int) -> None:
        self.tokens, self.plan, self.vocab_size = tokens, plan, vocab_size

    @abstractmethod
    def spans(self, windows: range) -> Iterator[Span]:
        """The spans of ``windows``, in order."""


class UniformReadout(Readout):
    """No model: every token is as likely as any other."""

    def spans(self, windows: range) -> Iterator[Span]:
        """Constants."""
        level = math.log(self.vocab_size)
        row = np.full(self.vocab_size, 1.0 / self.vocab_size)
        for window in windows:
            first, stop = int(self.plan.first[window]), int(self.plan.stop[window])
            same = np.full(stop - first, level)
            yield Span(int(self.plan.start[window]), first, stop, -same, same, lambda _offset: row)


class ModelReadout(Readout):
    """The reference GPT.

    Args:
        model: the model, whose weights may move between windows.
        tokens: the stream.
        plan: the windows.
        micro_batch: windows per forward pass.
        temperature: below 1, logits are divided by ``1 - (1 - temperature)(1 - H / ln V)``, clamped to 0.9 .. 1.05,
            with ``H`` the entropy of the untouched distribution (systems.md 2.3).
    """

    def __init__(
        self, model: GPT, tokens: Tokens, plan: WindowPlan, micro_batch: int, *, temperature: float = 1.0
    ) -> None:
        super().__init__(tokens, plan, model.config.vocab_size)
        self.model, self.micro_batch, self.temperature = model, micro_batch, temperature
        self.device = next(model.parameters()).device

    def spans(self, windows: range) -> Iterator[Span]:
        """One forward pass per micro-batch; short windows are padded on the right."""
        for at in range(0, len(windows), self.micro_batch):
            batch = windows[at : at + self.micro_batch]
            inputs = np.zeros((len(batch), self.plan.length), np.int64)
            for row, window in enumerate(batch):
                start, stop = int(self.plan.start[window]), int(self.plan.stop[window])
                inputs[row, : stop - start] = self.tokens[start:stop]
            with torch.no_grad():
                logits = self.model(torch.from_numpy(inputs).to(self.device))
                for row, window in enumerate(batch):
                    yield self._span(logits[row], window)

    def _span(self, logits: torch.Tensor, window: int) -> Span:
        start, first, stop = (int(edge[window]) for edge in (self.plan.start, self.plan.first, self.plan.stop))
        log_probs = self._log_probs(logits[first - start : stop - start].double())
        targets = torch.from_numpy(self.tokens[first + 1 : stop + 1].astype(np.int64)).to(self.device)
        return Span(
            start,
            first,
            stop,
            log_probs.gather(-1, targets[:, None])[:, 0].cpu().numpy(),
            -(log_probs.exp() * log_probs).sum(-1).cpu().numpy(),
            lambda offset: log_probs[offset].exp().cpu().numpy(),
        )

    def _log_probs(self, logits: torch.Tensor) -> torch.Tensor:
        """Float64 ``(n, V)``."""
        if self.temperature != 1.0:
            p = torch.softmax(logits, -1)
            entropy = -(p * (p + 1e-10).log()).sum(-1, keepdim=True)
            tau = 1.0 - (1.0 - self.temperature) * (1.0 - entropy / math.log(self.vocab_size))
            logits = logits / tau.clamp(0.9, 1.05)
        return torch.log_softmax(logits, -1)
