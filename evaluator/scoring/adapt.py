"""Score-first test-time training: the weights move only on tokens that the ledger has credited (C3).

The reference is the loop of #1477. A chunk of ``n`` scored positions gives ``floor(n / S)`` fresh sequences of ``S``
positions; what is left over trains nothing. The gradient of a step is a sum of terms of ``gradient_rows`` sequences
each, added in the order of their numbers on every rank: the adapted weights are the same bits for any number of
processes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from evaluator.ledger import ScoredTokens, require_scored
from evaluator.scoring.ranks import Ranks
from evaluator.settings import AdaptSettings
from reference_model import GPT

ByteCounts = np.typing.NDArray[np.uint16]


def select_parameters(names: Sequence[str], settings: AdaptSettings) -> list[str]:
    """Names that adapt: those matching a pattern of ``adapt`` and none of ``freeze``, in the model's order.

    In a pattern ``blocks.last.`` stands for the last block, whatever its number.

    Raises:
        ValueError: nothing is left, or a pattern matches no parameter (a misspelt freeze would silently adapt).
    """
    last = max((int(name.split(".")[1]) for name in names if name.startswith("blocks.")), default=0)
    adapt, freeze = (
        [pattern.replace("blocks.last.", f"blocks.{last}.") for pattern in patterns]
        for patterns in (settings.adapt, settings.freeze)
    )
    for pattern in (*adapt, *freeze):
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"pattern {pattern!r} matches no parameter of the model")
    chosen = [
        name
        for name in names
        if any(fnmatchcase(name, p) for p in adapt) and not any(fnmatchcase(name, p) for p in freeze)
    ]
    if not chosen:
        raise ValueError("no parameter is left to adapt")
    return chosen


class Adapter:
    """Adapts a model on scored tokens.

    Args:
        model: the model; stays in evaluation mode.
        settings: optimiser, schedule, subset.
        length: sequence length ``S``.
        gradient_rows: sequences per gradient term.
        chunks: number ``K`` of chunks in the run, for the cosine.
        credited: bytes of each target, uint16 ``(T,)``, for the byte-weighted loss.
        ranks: this process among all.
    """

    def __init__(
        self,
        model: GPT,
        settings: AdaptSettings,
        *,
        length: int,
        gradient_rows: int,
        chunks: int,
        credited: ByteCounts,
        ranks: Ranks,
    ) -> None:
        self.model, self.settings, self.ranks, self.credited = model, settings, ranks, credited
        self.length, self.gradient_rows, self.chunks = length, gradient_rows, chunks
        chosen = set(select_parameters([name for name, _ in model.named_parameters()], settings))
        self.parameters: list[torch.nn.Parameter] = []
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in chosen)
            if name in chosen:
                self.parameters.append(parameter)
        self.optimizer = make_optimizer(self.parameters, settings)
        self.turn = 0
        self.steps = 0

    @property
    def adapted(self) -> int:
        """Number of scalars that adapt."""
        return sum(parameter.numel() for parameter in self.parameters)

    def adapt(self, scored: ScoredTokens) -> None:
        """Train on one scored chunk; call once per chunk, in order, but not after the last (nothing would use it)."""
        require_scored(scored)
        lr = self._learning_rate()
        self.turn += 1
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        sequences = (len(scored.tokens) - 1) // self.length
        for _ in range(self.settings.epochs):
            for first in range(0, sequences, self.settings.step_sequences):
                self._step(scored, range(first, min(first + self.settings.step_sequences, sequences)))

    def _learning_rate(self) -> float:
        if self.settings.schedule == "constant":
            return self.settings.lr
        return self.settings.lr * 0.5 * (1 + math.cos(math.pi * self.turn / max(self.chunks - 1, 1)))

    def _step(self, scored: ScoredTokens, sequences: range) -> None:
        """One optimiser step on ``sequences`` (numbers of sequences within the chunk)."""
        terms = [sequences[i : i + self.gradient_rows] for i in range(0, len(sequences), self.gradient_rows)]
        weights = self._weights(scored, sequences)
        scale = 1.0 / float(weights.sum())
        gradients = []
        for number in self.ranks.mine(len(terms)):
            inputs = np.zeros((self.gradient_rows, self.length), np.int64)
            targets = np.zeros_like(inputs)
            weight = np.zeros(inputs.shape, np.float32)
            for row, sequence in enumerate(terms[number]):
                start = sequence * self.length
                inputs[row] = scored.tokens[start : start + self.length]
                targets[row] = scored.tokens[start + 1 : start + self.length + 1]
                weight[row] = weights[sequence - sequences.start]
            gradients.append(self._gradient(inputs, targets, weight * np.float32(scale)))
        total = self.ranks.ordered_sum(gradients, len(terms))
        offset = 0
        for parameter in self.parameters:
            n = parameter.numel()
            parameter.grad = total[offset : offset + n].view_as(parameter).to(parameter.dtype)
            offset += n
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1

    def _weights(self, scored: ScoredTokens, sequences: range) -> np.typing.NDArray[np.float32]:
        """Weight of each target's cross-entropy, float32 ``(sequences, S)``, before division by their sum."""
        shape = (len(sequences), self.length)
        if self.settings.loss == "mean":
            return np.ones(shape, np.float32)
        start = scored.start + sequences.start * self.length
        weights = self.credited[start : start + len(sequences) * self.length].astype(np.float32).reshape(shape)
        return weights if weights.any() else np.ones(shape, np.float32)

    def _gradient(
        self,
        inputs: np.typing.NDArray[np.int64],
        targets: np.typing.NDArray[np.int64],
        weight: np.typing.NDArray[np.float32],
    ) -> torch.Tensor:
        """Flat float32 gradient of one term: the weighted sum of cross-entropies of ``(gradient_rows, S)`` targets."""
        device = self.ranks.device
        with torch.enable_grad():
            logits = self.model.logits(self.model.hidden(torch.from_numpy(inputs).to(device)))
            loss = F.cross_entropy(
                logits.flatten(0, 1), torch.from_numpy(targets).to(device).flatten(), reduction="none"
            )
            loss = (loss * torch.from_numpy(weight).to(device).flatten()).sum()
            # A parameter that a configuration leaves unused (block 0's vr_pair) has no gradient.
            gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True, materialize_grads=True)
        return torch.cat([gradient.flatten().float() for gradient in gradients])


def make_optimizer(parameters: list[torch.nn.Parameter], settings: AdaptSettings) -> torch.optim.Optimizer:
    """The optimiser that ``settings`` name, over ``parameters``."""
    if settings.optimizer == "sgd":
        return torch.optim.SGD(parameters, settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay)
    return torch.optim.AdamW(parameters, settings.lr, betas=settings.betas, weight_decay=settings.weight_decay)
