"""A small, complete submission for the rules' examples: load, train, write the artifact, read it back, score."""

from __future__ import annotations

_START = """
import glob
import io
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

VOCAB = 1024
SEQ = 256


def load_tokens(pattern):
    parts = [np.fromfile(name, dtype="<u2", offset=1024) for name in sorted(glob.glob(pattern))]
    return torch.from_numpy(np.concatenate(parts).astype(np.int64))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 64)
        self.head = nn.Linear(64, VOCAB, bias=False)

    def hidden(self, x):
        return torch.cumsum(self.embed(x), dim=1)

    def forward(self, x):
        return self.head(self.hidden(x))


def train(model, tokens, steps=100):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(steps):
        begin = (step * SEQ) % (tokens.numel() - SEQ - 1)
        window = tokens[begin : begin + SEQ + 1]
        x, y = window[:-1].unsqueeze(0), window[1:].unsqueeze(0)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""

EVALUATE = """
def evaluate(model, val_tokens, base_bytes):
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    for begin in range(0, val_tokens.numel() - 1, SEQ):
        window = val_tokens[begin : begin + SEQ + 1]
        x, y = window[:-1].unsqueeze(0), window[1:].unsqueeze(0)
        with torch.no_grad():
            nll = F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="none")
        loss_sum += nll.sum().item()
        byte_sum += base_bytes[y].sum().item()
        count += y.numel()
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
"""

_END = """

def main():
    torch.manual_seed(1337)
    train_tokens = load_tokens("data/fineweb10B_sp1024/fineweb_train_*.bin")
    val_tokens = load_tokens("data/fineweb10B_sp1024/fineweb_val_*.bin")
    base_bytes = torch.from_numpy(np.load("bytes.npy"))
    model = Model()
    train(model, train_tokens)
    {before_saving}
    buffer = io.BytesIO()
    torch.save({{name: p.half() for name, p in model.state_dict().items()}}, buffer)
    with open("final_model.ptz", "wb") as f:
        f.write(buffer.getvalue())
    model = Model()
    model.load_state_dict(torch.load("final_model.ptz"))
    {before_scoring}
    val_loss, val_bpb = evaluate(model, val_tokens, base_bytes)
    print(f"final_int8_zlib_roundtrip_exact val_loss:{{val_loss:.8f}} val_bpb:{{val_bpb:.8f}}")


if __name__ == "__main__":
    main()
"""


def script(
    evaluate: str = EVALUATE, helpers: str = "", before_saving: str = "pass", before_scoring: str = "pass"
) -> str:
    """A whole ``train_gpt.py``.

    Args:
        evaluate: the function ``evaluate(model, val_tokens, base_bytes) -> (loss, bpb)``.
        helpers: further definitions.
        before_saving: statements of ``main`` before the artifact is written, as one line or indented by four.
        before_scoring: statements between reading the artifact back and scoring.
    """
    return _START + helpers + evaluate + _END.format(before_saving=before_saving, before_scoring=before_scoring)


def scoring(mixture: str, helpers: str = "", setup: str = "pass", update: str = "pass") -> str:
    """A script that scores one position at a time with numpy and mixes an expert into the model's probability.

    Args:
        mixture: statements that set ``p`` for position ``t`` from ``p_model`` (the model's probability of the target),
            ``probs`` (its distribution) and ``tokens``; indented by eight.
        helpers: definitions before.
        setup: statements before the loop; indented by four.
        update: statements after the score, indented by eight.
    """
    evaluate = f"""
def evaluate(model, val_tokens, base_bytes):
    tokens = val_tokens.numpy()
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    {setup.strip()}
    for t in range(4, len(tokens)):
        with torch.no_grad():
            logits = model(val_tokens[max(0, t - SEQ) : t].unsqueeze(0))[0, -1]
        probs = torch.softmax(logits, dim=-1).numpy()
        p_model = probs[tokens[t]]
        {mixture.strip()}
        loss_sum -= math.log(max(p, 1e-12))
        byte_sum += float(base_bytes[tokens[t]])
        count += 1
        {update.strip()}
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum
"""
    return script(evaluate, helpers)
