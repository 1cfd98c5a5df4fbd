"""The small model and stream on which originals and presets evaluate; the same on both sides."""

from __future__ import annotations

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


def model() -> GPT:
    """A model whose every parameter matters: output projections start at zero."""
    made = GPT(CONFIG, seed=3)
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
