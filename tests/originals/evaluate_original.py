"""Child process: the evaluation functions of original scripts on the small model; see :mod:`loading`.

The model is the reference GPT, whose equality with the originals' own models is tested elsewhere; it gets the two
methods that they call. So this compares what the evaluation does: windows, order of training and scoring, optimiser,
mixer, sums.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import small
import torch
from loading import load_module

from reference_model import GPT


class AsOriginal(torch.nn.Module):
    """The reference GPT with the interface of the originals: loss from ``forward``, logits from ``forward_logits``."""

    def __init__(self, inner: GPT) -> None:
        super().__init__()
        self.inner = inner

    @property
    def blocks(self) -> Any:
        """The blocks."""
        return self.inner.blocks

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor) -> Any:
        """Mean cross-entropy."""
        return self.inner(tokens, targets)

    def forward_logits(self, tokens: torch.Tensor) -> Any:
        """Logits."""
        return self.inner(tokens)


def main() -> None:
    """Answer the requests, one loss or one traceback each: torch is imported once for all of them."""
    answers: dict[str, Any] = {}
    for request in json.load(sys.stdin)["requests"]:
        try:
            answers[str(request["pull"])] = {"loss": evaluate(request)}
        except Exception:  # noqa: BLE001 - the other originals can still be compared
            answers[str(request["pull"])] = {"error": traceback.format_exc()}
    print(json.dumps(answers))


def evaluate(request: dict[str, Any]) -> float:
    """One original's loss, nats a token."""
    os.environ.update(request["environment"])
    script = Path(request["script"])
    os.chdir(script.parent)
    tables = [torch.from_numpy(table) for table in small.byte_tables()]
    tokens = torch.from_numpy(small.stream().astype("int64"))
    evaluation = EVALUATIONS[request["pull"]]
    return evaluation(
        load_module(script), SimpleNamespace(**request["args"]), AsOriginal(small.model()), tokens, tables
    )


CPU = torch.device("cpu")


def train_then_score(module: ModuleType, args: Any, net: AsOriginal, tokens: torch.Tensor, tables: Any) -> float:
    """Train on everything, then the sliding score."""
    module.ttt_adapt(args, net, CPU, tokens, 0, 1)
    found = module.eval_val_sliding(args, net, 0, 1, CPU, tokens, *tables, small.STRIDE, 4, small.LENGTH)
    return float(found[0])


def chunks_and_mixer(module: ModuleType, args: Any, net: AsOriginal, tokens: torch.Tensor, tables: Any) -> float:
    """Score a chunk with the mixer, count it, train on it."""
    found = module.eval_val_sliding_ttt(
        args, net, 0, 1, CPU, tokens, *tables, stride=small.STRIDE, batch_seqs=2, eval_seq_len=small.LENGTH,
        **args.keywords,
    )  # fmt: skip
    return float(found[0])


def score_first(module: ModuleType, args: Any, net: AsOriginal, tokens: torch.Tensor, tables: Any) -> float:
    """The score-first loop."""
    names = ("base_bytes_lut", "has_leading_space_lut", "is_boundary_token_lut")
    data = SimpleNamespace(val_tokens=tokens, **dict(zip(names, tables, strict=True)))
    return float(module.eval_val_sliding_ttt(args, net, 0, 1, CPU, data, small.STRIDE)[0])


EVALUATIONS = {398: train_then_score, 779: chunks_and_mixer, 940: train_then_score, 1477: score_first}


if __name__ == "__main__":
    main()
