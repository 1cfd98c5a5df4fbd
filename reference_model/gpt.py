"""The reference GPT: one forward pass for every system of the contest that a :class:`GPTConfig` can describe."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

from reference_model.block import Block, Context
from reference_model.config import GPTConfig
from reference_model.init import initialise
from reference_model.lanes import Lanes
from reference_model.layers import Embedding, Linear, rms_norm
from reference_model.rotary import Rotary
from reference_model.schedule import schedule
from reference_model.skip import Skip
from reference_model.stem import BigramHash, DynamicSmear, StaticSmear, ValueEmbedding
from reference_model.varlen import block_causal_mask


class Softcap(nn.Module):
    """Learned caps: ``pos tanh(z / pos)`` for z > 0, ``neg tanh(z / neg)`` otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.pos = nn.Parameter(torch.empty(()))
        self.neg = nn.Parameter(torch.empty(()))

    def forward(self, z: Tensor) -> Tensor:
        """[..., V] -> [..., V]."""
        cap = torch.where(z > 0, self.pos.to(z.dtype), self.neg.to(z.dtype))
        return cap * torch.tanh(z / cap)


class GPT(nn.Module):
    """A decoder-only transformer with a U-shaped pass over its blocks.

    Parameters carry the canonical names of :func:`reference_model.layout.state_layout`. The forward pass is a
    function of the parameters and the tokens: no buffers, caches or random numbers. It runs on the ``meta`` device
    and under ``torch.func``.

    Args:
        config: what to build.
        seed: seeds the initial parameters, from a generator of their own. Not used on the meta device, where
            parameters have no values.

    Attributes:
        config: as given.
        looping: whether the repeated segment runs. Always true in evaluation; a trainer may turn it off for a while.
    """

    def __init__(self, config: GPTConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.looping = True
        self._schedules = {looping: schedule(config, looping=looping) for looping in (False, True)}
        V, D, E = config.vocab_size, config.model_dim, config.embedding_width
        self.tok_emb = Embedding(V, E)
        self.embed_proj = Linear(E, D) if E != D else None
        self.head_proj = Linear(D, E) if E != D else None
        self.lm_head = None if config.tie_embeddings else Linear(E, V)
        self.bigram = BigramHash(config) if config.bigram_buckets else None
        self.smear_static = StaticSmear(D) if config.smear == "static" else None
        self.smear_dyn = DynamicSmear(config) if config.smear == "dynamic" else None
        self.value_emb = ValueEmbedding(config) if config.value_embed_dim else None
        self.skip = Skip(config, self._schedules[True].num_skips)
        self.parallel = Lanes(config) if config.has_lanes else None
        self.softcap = Softcap() if config.softcap_asym else None
        self.blocks = nn.ModuleList(Block(config, index) for index in range(config.num_layers))
        if not self.tok_emb.weight.is_meta:
            initialise(self, config, torch.Generator().manual_seed(seed))

    def forward(self, tokens: Tensor, targets: Tensor | None = None, document_starts: Tensor | None = None) -> Tensor:
        """Logits float32 [B, S, V]; or, given ``targets`` int64 [B, S], their mean cross-entropy in nats."""
        logits = self.logits(self.hidden(tokens, document_starts))
        if targets is None:
            return logits
        return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def hidden(self, tokens: Tensor, document_starts: Tensor | None = None) -> Tensor:
        """Everything up to the head's input.

        Args:
            tokens: int64 [B, S].
            document_starts: boolean [B, S], true where a piece begins that attention must not look back from
                (:func:`reference_model.varlen.document_starts`); only for models with
                ``attention = varlen``. Rotary positions run on through the row.

        Returns:
            [B, S, E] in the dtype of the token embedding.

        Raises:
            ValueError: ``document_starts`` given to a model with dense attention.
        """
        x, context = self._embed(tokens, document_starts)
        plan = self._schedules[self.looping]
        saved: list[Tensor] = []
        for index in plan.encoder:
            x, context = self.block(index)(x, context)
            saved.append(x)
        x = self._decode(plan.decoder, x, saved, context)
        x = rms_norm(x, self.config.norm_eps)
        return x if self.head_proj is None else self.head_proj(x)

    def logits(self, hidden: Tensor, offset: Tensor | None = None) -> Tensor:
        """Softcapped logits float32 [..., V] of hidden states [..., E]; the cap is computed in float32.

        ``offset`` float32 [..., V], an adapter's output, is added before the cap.
        """
        head = self.tok_emb if self.lm_head is None else self.lm_head
        z = nn.functional.linear(hidden, head.weight.to(hidden.dtype)).float()
        if offset is not None:
            z = z + offset
        if self.softcap is not None:
            capped: Tensor = self.softcap(z)
            return capped
        cap = self.config.logit_softcap
        return cap * torch.tanh(z / cap)

    def block(self, index: int) -> Block:
        """The physical block ``index``."""
        block = self.blocks[index]
        assert isinstance(block, Block)  # noqa: S101 - narrows what ModuleList calls a Module
        return block

    def to_bf16_activations(self) -> Self:
        """Adopt the contest's GPU precision: embedding tables in bfloat16, all other parameters in float32.

        Activations follow the token embedding's dtype, linear maps and controls are cast to it at use, norms,
        softcap and cross-entropy run in float32. Without this call all is float32, as on the CPU.
        """
        self.float()
        for module in self.modules():
            if isinstance(module, Embedding):
                module.to(torch.bfloat16)
        return self

    def _embed(self, tokens: Tensor, document_starts: Tensor | None) -> tuple[Tensor, Context]:
        if document_starts is not None and self.config.attention == "dense":
            raise ValueError("document_starts given to a model with dense attention")
        x = self.tok_emb(tokens)
        if self.smear_dyn is not None:
            x = self.smear_dyn(x, tokens)
        if self.bigram is not None:
            x = x + self.bigram(tokens)
        x = rms_norm(x, self.config.norm_eps)
        if self.embed_proj is not None:
            x = self.embed_proj(x)
        if self.smear_static is not None:
            x = self.smear_static(x)
        context = Context(
            x0=x,
            rotary=Rotary.of(self.config, tokens.size(1), like=x),
            mask=None if document_starts is None else block_causal_mask(document_starts),
            extra_values={} if self.value_emb is None else self.value_emb(tokens),
        )
        return x, context

    def _decode(self, steps: tuple[int, ...], x: Tensor, saved: list[Tensor], context: Context) -> Tensor:
        """Run the decoder's blocks on [B, S, D], each fed the last of the ``saved`` outputs not yet used."""
        lane: Tensor | None = None  # the feed-forward lane; x is the attention lane once there are two
        for step, index in enumerate(steps):
            splits = self.parallel is not None and lane is None and index >= (self.config.parallel_start or 0)
            if splits and self.config.parallel_skip == "after":
                lane = x
            if saved:
                x = self.skip(step, x, saved.pop())
            if splits and self.config.parallel_skip == "before":
                lane = x
            if self.parallel is not None and lane is not None:
                x, lane, context = self.parallel(self.block(index), x, lane, context)
            else:
                x, context = self.block(index)(x, context)
        return x if self.parallel is None or lane is None else self.parallel.merged(x, lane)
