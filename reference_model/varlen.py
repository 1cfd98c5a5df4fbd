"""Documents packed into one row and kept apart in attention."""

from __future__ import annotations

import torch
from torch import Tensor


def document_starts(tokens: Tensor, bos_id: int, max_len: int | None = None) -> Tensor:
    """Where attention is cut: at every BOS, and every ``max_len`` tokens within a document; boolean [B, S].

    The first position of a row always begins a piece.
    """
    starts = tokens == bos_id
    starts = torch.cat((torch.ones_like(starts[:, :1]), starts[:, 1:]), dim=1)
    if max_len is None:
        return starts
    positions = torch.arange(tokens.size(1), device=tokens.device).expand_as(tokens)
    begun = torch.where(starts, positions, 0).cummax(dim=1).values
    return starts | ((positions - begun) % max_len == 0)


def block_causal_mask(starts: Tensor) -> Tensor:
    """Boolean [B, 1, S, S]: a position sees itself and earlier ones of its own piece."""
    piece = starts.long().cumsum(dim=1)
    same = piece[:, :, None] == piece[:, None, :]
    return same.tril().unsqueeze(1)
