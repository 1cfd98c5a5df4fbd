"""Low-rank adapters for a batch of documents, one set per document and step of the schedule (systems.md 5.3).

Each step of the model's schedule (not each block: blocks repeat) has adapters on the keys, beside the attention's
output, beside the feed-forward layer, and there is one on the head. They are added by forward hooks; the model itself
stays as it is. Row ``b`` of every adapter belongs to document ``b`` of the batch and meets only its activations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from evaluator.ledger import ScoredTokens, require_scored
from evaluator.settings import DocumentSettings
from reference_model import GPT
from reference_model.schedule import schedule

_EPS = 1e-10
"""AdamW's, as published."""


class DocumentAdapters:
    """The adapters, their optimiser, and a model that runs with them.

    Args:
        model: the model, whose own parameters do not move.
        rows: documents in the batch.
        settings: rank, scale, optimiser and seed.

    Attributes:
        parameters: ``A`` float32 ``(rows, rank, in)`` and ``B`` ``(rows, out, rank)`` by (place, step).
    """

    def __init__(self, model: GPT, rows: int, settings: DocumentSettings) -> None:
        self.model, self.rows, self.settings = model, rows, settings
        plan, config = schedule(model.config), model.config
        steps = len(plan.encoder) + len(plan.decoder)
        D = config.model_dim
        widths = {"key": (D, config.kv_dim), "out": (D, D), "mlp": (D, D)}
        shapes = {(place, step): width for step in range(steps) for place, width in widths.items()}
        shapes["head", 0] = (config.embedding_width, config.vocab_size)
        device = next(model.parameters()).device
        self.parameters = {
            slot: (
                torch.zeros(rows, settings.rank, width, device=device, requires_grad=True),
                torch.zeros(rows, out, settings.rank, device=device, requires_grad=True),
            )
            for slot, (width, out) in shapes.items()
        }
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self._step = -1
        self._hooks: list[Any] = []
        self.draw()
        self.restart()

    @property
    def adapted(self) -> int:
        """Number of scalars that adapt for one document."""
        return sum(a[0].numel() + b[0].numel() for a, b in self.parameters.values())

    def draw(self) -> None:
        """Draw every ``A`` from the seed: uniform within ``1 / sqrt(in)``, the same for every document."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        with torch.no_grad():
            for a, _ in self.parameters.values():
                bound = 1 / math.sqrt(a.shape[-1])
                a.copy_(torch.empty(a.shape[1:]).uniform_(-bound, bound, generator=generator))

    def restart(self) -> None:
        """New documents: every ``B`` is zero, and the optimiser has seen nothing."""
        with torch.no_grad():
            for _, b in self.parameters.values():
                b.zero_()
        self.optimizer = torch.optim.AdamW(
            [parameter for pair in self.parameters.values() for parameter in pair],
            self.settings.lr,
            betas=self.settings.betas,
            eps=_EPS,
            weight_decay=self.settings.weight_decay,
        )

    def logits(self, tokens: torch.Tensor, positions: slice) -> torch.Tensor:
        """Float32 logits ``(rows, n, V)`` at ``positions`` of inputs ``(rows, S)``, adapters included."""
        self._step = -1
        self._attach()
        try:
            states = self.model.hidden(tokens)[:, positions]
        finally:
            for hook in self._hooks:
                hook.remove()
            self._hooks.clear()
        return self.model.logits(states, self._delta(("head", 0), states).float())

    def adapt(self, losses: torch.Tensor, scored: Sequence[ScoredTokens | None]) -> None:
        """One step on the sum over documents of their mean loss; documents without :class:`ScoredTokens` stay out.

        Args:
            losses: ``(rows, n)``, of the forward pass that scored them.
            scored: per row, the tokens that ``losses`` belong to, from the ledger of their document.
        """
        chosen = [row for row, tokens in enumerate(scored) if tokens is not None]
        for tokens in scored:
            if tokens is not None:
                require_scored(tokens)
                if len(tokens.nll) != losses.shape[1]:
                    raise ValueError(f"{losses.shape[1]} losses for {len(tokens.nll)} scored tokens")
        self.step(losses, chosen)

    def step(self, losses: torch.Tensor, rows: Sequence[int]) -> None:
        """The optimiser's step on the mean losses of ``rows``, unconditionally; legal callers use :meth:`adapt`."""
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(losses[list(rows)].mean(-1).sum())
        self.optimizer.step()

    def _delta(self, slot: tuple[str, int], x: torch.Tensor) -> torch.Tensor:
        a, b = (parameter.to(x.dtype) for parameter in self.parameters[slot])
        return (x @ a.transpose(1, 2)) @ b.transpose(1, 2) * (self.settings.alpha / self.settings.rank)

    def _attach(self) -> None:
        """Hooks on every block. A step begins where attention does; the lanes of parallel blocks keep that order."""

        def begin(_module: object, _inputs: object) -> None:
            self._step += 1

        def key(_module: object, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            return output + self._delta(("key", self._step), inputs[0])

        def out(_module: object, inputs: tuple[torch.Tensor, ...], output: tuple[torch.Tensor, torch.Tensor]) -> Any:
            return output[0] + self._delta(("out", self._step), inputs[0]), output[1]

        def mlp(_module: object, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
            return output + self._delta(("mlp", self._step), inputs[0])

        for index in range(self.model.config.num_layers):
            block = self.model.block(index)
            self._hooks += [
                block.attn.register_forward_pre_hook(begin),
                block.attn.c_k.register_forward_hook(key),
                block.attn.register_forward_hook(out),
                block.mlp.register_forward_hook(mlp),
            ]
