"""Batches of training windows from one stream of tokens."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def windows(
    tokens: npt.NDArray[np.uint16], length: int, count: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless batches of ``count`` windows: inputs and targets, int64 [count, length] each.

    An epoch starts at a random offset below ``length`` and visits all whole windows from there once, in random order;
    a batch may span two epochs.

    Raises:
        ValueError: the stream is shorter than one window and its last target at the largest offset.
    """
    if tokens.ndim != 1 or tokens.size < 2 * length:
        raise ValueError(f"training needs one stream of at least {2 * length} tokens, got shape {tokens.shape}")
    queue: list[int] = []
    while True:
        while len(queue) < count:
            phase = int(torch.randint(length, (), generator=generator))
            whole = (tokens.size - 1 - phase) // length
            queue += [phase + length * i for i in torch.randperm(whole, generator=generator).tolist()]
        starts, queue = queue[:count], queue[count:]
        rows = np.stack([tokens[start : start + length + 1] for start in starts]).astype(np.int64)
        batch = torch.from_numpy(rows)
        yield batch[:, :-1], batch[:, 1:]
