"""The small model and stream on which originals and presets evaluate; the same on both sides."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from reference_model import GPT, GPTConfig

VOCAB, LENGTH, STRIDE = 48, 32, 8
CONFIG = GPTConfig(
    vocab_size=VOCAB, model_dim=32, num_layers=3, num_heads=2, num_kv_heads=1, mlp_hidden=64, rope_dims=8,
    context_len=LENGTH, smear="static", bigram_buckets=64, bigram_dim=8,
)  # fmt: skip
TOKENS = 10 * LENGTH + 1
PHASED = GPTConfig(
    vocab_size=VOCAB, model_dim=32, num_layers=3, num_heads=2, num_kv_heads=1, mlp_hidden=64, rope_dims=8,
    context_len=LENGTH, smear="dynamic", attention="varlen", loop_start=1, loop_end=1, num_loops=1,
)  # fmt: skip
"""For #2140: packed documents and a repeated block."""


def model(config: GPTConfig = CONFIG) -> GPT:
    """A model whose every parameter matters: output projections start at zero."""
    made = GPT(config, seed=3)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


def stream() -> np.ndarray[Any, np.dtype[np.uint16]]:
    """A stream that repeats itself with errors, so that tables of n-grams have something to find."""
    rng = np.random.default_rng(11)
    tokens = np.resize(rng.integers(0, VOCAB, 29), TOKENS)
    noisy = rng.random(TOKENS) < 0.2
    tokens[noisy] = rng.integers(0, VOCAB, int(noisy.sum()))
    tokens[7] = VOCAB - 1  # the published code takes the largest token for the size of the vocabulary
    return tokens.astype(np.uint16)


def documents() -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Documents that begin with token 1 and repeat one text of 18 tokens with errors."""
    rng = np.random.default_rng(4)
    text = rng.integers(2, VOCAB, 18)
    parts = []
    for length in (50, 22, 70, 9, 35, 90, 15):
        part = np.resize(text, length)
        noisy = rng.random(length) < 0.03
        part[noisy] = rng.integers(2, VOCAB, int(noisy.sum()))
        parts += [np.array([1]), part]
    return np.concatenate(parts).astype(np.uint16)


def initial_adapter(shape: torch.Size) -> torch.Tensor:
    """In place of the random ``A`` of an adapter, the same on both sides."""
    return (torch.arange(math.prod(shape)).sin() / math.sqrt(shape[-1])).view(shape)


def byte_tables() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Bytes of each token, whether it leads with a space, whether it is a boundary."""
    ids = np.arange(VOCAB)
    return (ids % 4).astype(np.int16), ids % 3 == 0, ids % 7 == 0


def credited() -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Bytes credited to each target of :func:`stream`."""
    base, leads, boundary = byte_tables()
    tokens = stream()
    found: np.ndarray[Any, np.dtype[np.uint16]] = base[tokens[1:]] + (leads[tokens[1:]] & ~boundary[tokens[:-1]])
    return found.astype(np.uint16)
