"""What the quantisers learn from training tokens. The validation stream has no business here, and is never opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from evaluator.packing.checkpoint import Checkpoint
from evaluator.packing.recipes import block_of
from evaluator.refusal import Refused
from evaluator.stream import refusing_data
from reference_model import GPT, GPTConfig, schedule
from reference_model.quant import collect_hessians
from rules.contest.shards import Tokens, find_shards, read_shard


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Second moments of what each linear map reads on training tokens.

    Attributes:
        hessians: ``sum x x^T``, float32 ``(cols, cols)``, by canonical name of the matrix.
        magnitudes: root mean square of each input channel, float32 ``(cols,)``, by the same names.
    """

    hessians: Mapping[str, Tensor]
    magnitudes: Mapping[str, Tensor]


def training_tokens(folder: Path, count: int) -> Tokens:
    """The first ``count`` tokens of the training split in ``folder``, or all if there are fewer.

    Only shards ``fineweb_train_*.bin`` are read: a quantiser that has seen validation tokens has learned from them
    before they are scored.

    Raises:
        Refused: there is no such split, or it is damaged.
    """
    with refusing_data():
        parts, missing = [], count
        for shard in find_shards(folder, "train"):
            parts.append(np.asarray(read_shard(shard)[:missing]))
            missing -= len(parts[-1])
            if not missing:
                break
    return np.concatenate(parts)


def calibrate(checkpoint: Checkpoint, config: GPTConfig, tokens: Tokens) -> Calibration:
    """Run the model over ``tokens``, window by window of its context.

    Raises:
        Refused: ``calibration-tokens``: fewer than one window, or ids outside the vocabulary.
    """
    length = config.context_len
    if len(tokens) < length:
        raise Refused("calibration-tokens", f"calibration needs a window of {length:,} tokens, got {len(tokens):,}")
    if int(tokens.max()) >= config.vocab_size:
        raise Refused("calibration-tokens", f"token {int(tokens.max())} is outside the vocabulary {config.vocab_size}")
    windows = torch.from_numpy(tokens[: len(tokens) // length * length].astype(np.int64)).view(-1, 1, length)
    hessians = collect_hessians(load(checkpoint, config), windows)
    steps = schedule(config)
    visits = Counter([*steps.encoder, *steps.decoder])
    magnitudes = {}
    for name, hessian in hessians.items():
        block = block_of(name)
        seen = windows.numel() * (1 if block is None else visits[block])
        magnitudes[name] = (hessian.diagonal() / seen).sqrt()
    return Calibration(hessians, magnitudes)


def load(checkpoint: Checkpoint, config: GPTConfig) -> GPT:
    """The model with these weights, float32, in evaluation mode."""
    with torch.device("meta"):
        model = GPT(config)
    state = {name: torch.from_numpy(values) for name, values in checkpoint.weights.items()}
    model.load_state_dict(state, strict=True, assign=True)
    return model.eval()
