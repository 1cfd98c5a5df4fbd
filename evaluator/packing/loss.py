"""What quantisation costs: bits per byte of two sets of weights on the start of a validation stream.

It decides nothing: the file is written before it is scored, and no weight has seen a token of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from evaluator.refusal import Refused
from evaluator.scoring.network import Network
from evaluator.scoring.ranks import Ranks
from evaluator.scoring.windows import plan_windows
from evaluator.settings import WindowSettings
from evaluator.stream import ValidationStream
from reference_model import GPT, GPTConfig


@dataclass(frozen=True, slots=True)
class Loss:
    """Of float weights and of the artifact, on the same targets.

    Attributes:
        targets: how many.
        float_bpb: bits per byte of the checkpoint.
        packed_bpb: of what the artifact decodes to.
    """

    targets: int
    float_bpb: float
    packed_bpb: float

    def __str__(self) -> str:
        difference = self.packed_bpb - self.float_bpb
        return (
            f"on {self.targets:,} targets without overlap: {self.float_bpb:.5f} bpb as a checkpoint, "
            f"{self.packed_bpb:.5f} as an artifact ({difference:+.5f})"
        )


def bits_per_byte(state: Mapping[str, Tensor], config: GPTConfig, stream: ValidationStream, targets: int) -> float:
    """Bits per byte of the first ``targets`` targets in windows of the model's context that do not overlap.

    Args:
        state: float32 weights by canonical name.
        config: the model.
        stream: the validation stream.
        targets: at most as many as the stream has.

    Raises:
        Refused: ``vocabulary-mismatch``, or ``no-bytes``: these targets are credited none.
    """
    count = min(targets, stream.positions)
    tokens = stream.tokens[: count + 1]
    if int(tokens.max()) >= config.vocab_size:
        raise Refused("vocabulary-mismatch", f"the data hold token {int(tokens.max())}, the model {config.vocab_size}")
    credited = int(stream.credited[:count].sum(dtype=np.int64))
    if not credited:
        raise Refused("no-bytes", f"the first {count:,} targets are credited no bytes")
    with torch.device("meta"):
        model = GPT(config)
    model.load_state_dict(dict(state), strict=True, assign=True)
    plan = plan_windows(WindowSettings("W-C", config.context_len, config.context_len), count)
    alone = Ranks(0, 1, torch.device("cpu"))
    network = Network(model.eval(), tokens, plan, 1, alone, hints=None, entropy=False)
    nats = -float(network.score(range(len(plan))).base.target.sum())
    return nats / math.log(2) / credited
