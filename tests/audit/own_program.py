"""The referee's trainer and evaluator in one program, as a submission would drive them."""

from __future__ import annotations

import math
import os
from pathlib import Path

import torch

from evaluator.ledger import Ledger
from evaluator.mixer import build_mixer
from evaluator.scoring.adapt import Adapter
from evaluator.scoring.loop import score_stream
from evaluator.scoring.network import Network
from evaluator.scoring.ranks import Ranks
from evaluator.scoring.windows import plan_windows
from evaluator.settings import AdaptSettings, ScoringSettings
from mini_contest.training import pack
from reference_model import GPT, load_preset, load_train_settings
from reference_model.train.trainer import train
from rules.contest.byte_counts import ByteTable
from rules.contest.shards import concatenate, read_shard
from rules.contest.tokenizer import load_tokenizer


def main() -> None:
    """Train, pack, read back, score with test-time training and a mixer."""
    folder = Path(os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024"))
    training = concatenate([read_shard(f) for f in sorted(folder.glob("fineweb_train_*.bin"))])
    model = GPT(load_preset("mini"), seed=1337)
    result = train(model, training, load_train_settings("mini"))
    Path("final_model.ptz").write_bytes(pack(result.state))
    model.load_state_dict(torch.load("final_model.ptz"))

    tokens = concatenate([read_shard(f) for f in sorted(folder.glob("fineweb_val_*.bin"))])
    tokenizer = load_tokenizer(Path(os.environ["TOKENIZER_PATH"]))
    credited = ByteTable.of(tokenizer.processor).credited(tokens)
    settings = ScoringSettings(ttt=AdaptSettings())
    assert settings.ttt is not None
    ranks = Ranks.join()
    plan = plan_windows(settings.windows, len(credited))
    mixer = build_mixer("pitman_yor", tokens, model.config.vocab_size, {})
    network = Network(model, tokens, plan, settings.micro_batch, ranks, hints=None, entropy=False)
    adapter = Adapter(
        model,
        settings.ttt,
        length=settings.windows.length,
        gradient_rows=settings.gradient_rows,
        chunks=len(plan.chunks(settings.chunk)),
        credited=credited,
        ranks=ranks,
    )
    ledger = Ledger(tokens)
    score_stream(network, ledger, mixer, adapter, chunk=settings.chunk, ranks=ranks, on_chunk=lambda _: None)
    loss = ledger.total / ledger.scored / 1e9
    bpb = loss / math.log(2.0) * ledger.scored / int(credited.sum())
    print(f"final val_loss:{loss:.8f} val_bpb:{bpb:.8f}")


if __name__ == "__main__":
    main()
