"""What is done to token embeddings before the first block, and the value embedding."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reference_model.config import GPTConfig
from reference_model.layers import Embedding, Linear

# The multipliers of the contest's hash, newest token first.
HASH_FACTORS = (36313, 27191, 51497)


def hashed_ngram(tokens: Tensor, order: int, buckets: int) -> Tensor:
    """Row of the n-gram of ``order`` tokens that ends at each position; int64 [B, S].

    ``(f_0 t_i) xor (f_1 t_{i-1}) xor ...`` mod ``buckets - 1`` in wrapping int32; the last row where
    fewer tokens exist.
    """
    ids = tokens.to(torch.int32)
    kept = max(ids.size(1) - order + 1, 0)
    start = ids.size(1) - kept
    key = HASH_FACTORS[0] * ids[:, start:]
    for back in range(1, order):
        key = key ^ (HASH_FACTORS[back] * ids[:, start - back : ids.size(1) - back])
    return nn.functional.pad(key % (buckets - 1), (start, 0), value=buckets - 1).long()


class BigramHash(nn.Module):
    """``scale * P (e[bigram] (+ e[trigram]))``, added to the token embedding."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.buckets = config.bigram_buckets
        self.orders = (2, 3) if config.bigram_trigram else (2,)
        self.scale = nn.Parameter(torch.empty(()))
        self.embed = Embedding(config.bigram_buckets, config.bigram_dim)
        width = config.embedding_width
        self.proj = Linear(config.bigram_dim, width) if config.bigram_dim != width else None

    def forward(self, tokens: Tensor) -> Tensor:
        """int64 [B, S] -> [B, S, E]."""
        rows = self.embed(hashed_ngram(tokens, self.orders[0], self.buckets))
        for order in self.orders[1:]:
            rows = rows + self.embed(hashed_ngram(tokens, order, self.buckets))
        projected = rows if self.proj is None else self.proj(rows)
        scaled: Tensor = self.scale.to(projected.dtype) * projected
        return scaled


class StaticSmear(nn.Module):
    """``(1-g) x_t + g x_{t-1}``, g = sigmoid(gate) per channel, ``x_{-1} = 0``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        """[B, S, D] -> [B, S, D]."""
        g = torch.sigmoid(self.gate.to(x.dtype))
        return (1 - g) * x + g * nn.functional.pad(x, (0, 0, 1, 0))[:, :-1]


class DynamicSmear(nn.Module):
    """``x_t + lam sigmoid(w . x_t[:window]) x_{t-1}``, but not where token t begins a document."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.window = config.smear_window
        self.bos_id = config.bos_id if config.smear_bos_mask else None
        self.weight = nn.Parameter(torch.empty(1, config.smear_window))
        self.lam = nn.Parameter(torch.empty(1))

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """[B, S, E], int64 [B, S] -> [B, S, E]."""
        gate = self.lam.to(x.dtype) * torch.sigmoid(
            nn.functional.linear(x[:, 1:, : self.window], self.weight.to(x.dtype))
        )
        if self.bos_id is not None:
            gate = gate * (tokens[:, 1:] != self.bos_id).to(x.dtype).unsqueeze(-1)
        return torch.cat((x[:, :1], x[:, 1:] + gate * x[:, :-1]), dim=1)


class ValueEmbedding(nn.Module):
    """``scale * P E_v[token]``, shared by some blocks that each weigh it by a scalar of their own."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(()))
        self.embed = Embedding(config.vocab_size, config.value_embed_dim)
        narrow = config.value_embed_dim != config.kv_dim
        self.proj = Linear(config.value_embed_dim, config.kv_dim) if narrow else None
        self.layer_scale = nn.ParameterDict({str(i): nn.Parameter(torch.empty(1)) for i in config.value_embed_layers})

    def forward(self, tokens: Tensor) -> dict[int, Tensor]:
        """int64 [B, S] -> what each block that has one adds to its values, [B, S, Hk d], by block index."""
        rows = self.embed(tokens)
        shared = rows if self.proj is None else self.proj(rows)
        shared = self.scale.to(shared.dtype) * shared
        return {int(layer): weight.to(shared.dtype) * shared for layer, weight in self.layer_scale.items()}
