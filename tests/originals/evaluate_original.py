"""Child process: the evaluation functions of original scripts on the small model; see :mod:`loading`.

The model is the reference GPT, whose equality with the originals' own models is tested elsewhere; it gets the two
methods that they call. So this compares what the evaluation does: windows, order of training and scoring, optimiser,
mixer, sums.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
import uuid
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import small
import torch
from loading import load_module

from evaluator.scoring.lora import DocumentAdapters
from reference_model import GPT, schedule


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


class Phased(AsOriginal):
    """What #2140's functions ask of a model."""

    def __init__(self, inner: GPT) -> None:
        super().__init__(inner)
        config, steps = inner.config, schedule(inner.config)
        self.looping_active = True
        self.encoder_indices, self.decoder_indices = list(steps.encoder), list(steps.decoder)
        self.qo_bank = torch.zeros(1, config.model_dim)
        self.tok_emb = SimpleNamespace(num_embeddings=config.vocab_size, embedding_dim=config.model_dim)

    @property
    def blocks(self) -> Any:
        """Head counts."""
        config = self.inner.config
        attention = SimpleNamespace(num_heads=config.num_heads, num_kv_heads=config.num_kv_heads)
        return [SimpleNamespace(attn=attention)] * config.num_layers

    def forward(  # type: ignore[override]
        self, tokens: torch.Tensor, targets: torch.Tensor, cu_seqlens: torch.Tensor, max_seqlen: int
    ) -> Any:
        """Mean cross-entropy of a packed row."""
        starts = torch.zeros_like(tokens, dtype=torch.bool)
        starts[0, cu_seqlens[cu_seqlens < tokens.shape[1]].long()] = True
        return self.inner(tokens, targets, starts)


class TheirAdapters(DocumentAdapters):
    """Our hooks with the original's adapter modules behind them."""

    def __init__(self, model: GPT, theirs: Any) -> None:
        self.model, self._step, self._hooks = model, -1, []
        self.places = {"key": theirs.k_loras, "out": theirs.o_loras, "mlp": theirs.mlp_loras}
        self.head = theirs.lm_head_lora

    def _delta(self, slot: tuple[str, int], x: torch.Tensor) -> Any:
        place, step = slot
        return self.head(x) if place == "head" else self.places[place][step](x)


def their_hints(stream: Any) -> tuple[torch.Tensor, ...]:
    """Hint, gate and boost of every target from the original's C kernel, which has no use for the tokenizer here."""
    tilt: Any = importlib.import_module("online_ngram_tilt")
    every = np.ones(small.VOCAB, np.uint8)
    tilt.build_piece_luts = lambda **_: (None, every, every)
    found = tilt.build_hints_for_targets(
        target_token_ids_np=np.ascontiguousarray(stream[1:]), tokenizer_path="", vocab_size=small.VOCAB
    )
    assert found["gate_mask"].sum() > 50
    return tuple(torch.from_numpy(found[name]) for name in ("hint_ids", "gate_mask", "boost"))


def phased(module: ModuleType, args: Any, net: AsOriginal, tokens: torch.Tensor, tables: Any) -> float:
    """Adapters per document, one global phase, tilt."""
    inner = small.model(small.PHASED)
    made = module.BatchedTTTLoRA.__init__

    def with_known_start(self: Any, *arguments: Any, **keywords: Any) -> None:
        made(self, *arguments, **keywords)
        with torch.no_grad():
            for part in self.modules():
                if isinstance(part, module.BatchedLinearLoRA):
                    part.A.copy_(small.initial_adapter(part.A.shape))

    module.BatchedTTTLoRA.__init__ = with_known_start

    def forward(x: torch.Tensor, y: torch.Tensor, lora: Any, hint_ids: torch.Tensor) -> Any:
        logits = TheirAdapters(inner, lora).logits(x, slice(None))
        losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)
        return losses, torch.log_softmax(logits, -1).gather(-1, hint_ids[..., None])[..., 0].detach()

    stream = small.documents()
    known = their_hints(stream)
    names = ("base_bytes_lut", "has_leading_space_lut", "is_boundary_token_lut")
    data = SimpleNamespace(
        val_tokens=torch.from_numpy(stream.astype("int64")), caseops_enabled=False, val_bytes=None,
        **dict(zip(names, tables, strict=True)),
    )  # fmt: skip
    args.run_id = uuid.uuid4().hex
    try:
        return float(module.eval_val_ttt_phased(args, Phased(inner), CPU, data, forward, known)[0])
    finally:
        for file in Path("/tmp").glob(f"ttt_*_{args.run_id}"):
            file.unlink()


EVALUATIONS = {
    398: train_then_score, 779: chunks_and_mixer, 940: train_then_score, 1477: score_first, 2140: phased,
}  # fmt: skip


if __name__ == "__main__":
    main()
