"""Training on any part of the validation stream, scored or not: what :class:`evaluator.scoring.adapt.Adapter` refuses.

Data parallelism is emulated, because the published results depend on it: rank ``r`` of ``R`` owns a contiguous share of
the sequences, step ``i`` takes the ``i``-th batch of each share, and the gradient is the mean of the ranks' means.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from evaluator.ledger import Tokens
from evaluator.scoring.adapt import ByteCounts, make_optimizer, select_parameters
from evaluator.settings import AdaptSettings
from reference_model import GPT


class Trainer:
    """Trains ``model`` on ranges of positions, whether or not they were scored.

    Args:
        model: the model.
        settings: optimiser, subset and loss; ``step_sequences`` counts those of all ranks.
        length: sequence length.
        ranks: ranks that are emulated.
        tokens: the stream.
        credited: bytes of each target.
    """

    def __init__(
        self, model: GPT, settings: AdaptSettings, length: int, ranks: int, tokens: Tokens, credited: ByteCounts
    ) -> None:
        self.model, self.settings, self.length, self.ranks = model, settings, length, ranks
        self.tokens, self.credited = tokens, credited
        chosen = set(select_parameters([name for name, _ in model.named_parameters()], settings))
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in chosen)
        self.parameters = [parameter for name, parameter in model.named_parameters() if name in chosen]
        self.optimizer = make_optimizer(self.parameters, settings)
        self.steps = 0

    @property
    def adapted(self) -> int:
        """Number of scalars that train."""
        return sum(parameter.numel() for parameter in self.parameters)

    def train(self, start: int, stop: int, lr: float) -> None:
        """``epochs`` passes over the whole sequences in positions ``start .. stop - 1``."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        sequences = (stop - start) // self.length
        per_rank = max(self.settings.step_sequences // self.ranks, 1)
        edges = [sequences * rank // self.ranks for rank in range(self.ranks + 1)]
        shares = [range(edges[rank], edges[rank + 1]) for rank in range(self.ranks)]
        for _ in range(self.settings.epochs):
            for at in range(0, max(len(share) for share in shares), per_rank):
                self._step([batch for share in shares if (batch := share[at : at + per_rank])], start)

    def _step(self, batches: list[range], start: int) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        for batch in batches:
            (self._loss(start + batch.start * self.length, len(batch)) / len(batches)).backward()  # type: ignore[no-untyped-call]  # torch's annotation is missing
        if self.settings.clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip)
        self.optimizer.step()
        self.steps += 1

    def _loss(self, start: int, sequences: int) -> torch.Tensor:
        stop = start + sequences * self.length
        device = self.parameters[0].device
        ids = torch.from_numpy(self.tokens[start : stop + 1].astype(np.int64)).to(device)
        logits = self.model(ids[:-1].view(sequences, self.length)).float()
        losses = F.cross_entropy(logits.flatten(0, 1), ids[1:], reduction="none")
        if self.settings.loss == "mean":
            return losses.mean()
        weights = torch.from_numpy(self.credited[start:stop].astype(np.float32)).to(device)
        return (losses * weights).sum() / weights.sum()
