"""Small programs in the idioms that submissions use, re-created for the tests."""

from __future__ import annotations

import textwrap

HEAD = """
import copy, glob, io, math, os
import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
import sentencepiece as spm


class Hyperparameters:
    data_path = os.environ.get("DATA_PATH", "./data/fineweb")
    train_files = os.path.join(data_path, "fineweb_train_*.bin")
    val_files = os.path.join(data_path, "fineweb_val_*.bin")
    vocab = int(os.environ.get("VOCAB_SIZE", "1024"))
    seq_len = int(os.environ.get("SEQ_LEN", "1024"))
    adapt = bool(int(os.environ.get("ADAPT", "1")))


class GPT(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.emb = nn.Embedding(h.vocab, 64)
        self.blocks = nn.ModuleList([nn.Linear(64, 64) for _ in range(3)])
        self.head = nn.Linear(64, h.vocab, bias=False)

    def hidden(self, x):
        z = self.emb(x)
        for block in self.blocks:
            z = z + torch.relu(block(z))
        return z

    def logits(self, x):
        return self.head(self.hidden(x))

    def forward(self, x, y):
        z = self.logits(x)
        return F.cross_entropy(z.reshape(-1, z.size(-1)).float(), y.reshape(-1), reduction="mean")


def load_shard(path):
    header = np.fromfile(path, dtype="<i4", count=256)
    return torch.from_numpy(np.fromfile(path, dtype="<u2", offset=1024).astype(np.uint16))


def load_stream(pattern, seq_len):
    tokens = torch.cat([load_shard(p) for p in sorted(glob.glob(pattern))]).contiguous()
    usable = ((tokens.numel() - 1) // seq_len) * seq_len
    return tokens[: usable + 1]


def byte_table(sp, vocab):
    table = np.zeros((vocab,), dtype=np.int16)
    for i in range(sp.vocab_size()):
        table[i] = len(sp.id_to_piece(i).encode("utf-8"))
    return torch.tensor(table)


def report(name, loss_sum, count, byte_sum):
    loss = loss_sum / count
    bpb = loss.item() / math.log(2.0) * (count.item() / byte_sum.item())
    print(f"{name} val_loss:{loss.item():.6f} val_bpb:{bpb:.6f}")


def train(model, h, tokens):
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(1000):
        x, y = tokens[:-1].view(-1, h.seq_len), tokens[1:].view(-1, h.seq_len)
        opt.zero_grad()
        model(x, y).backward()
        opt.step()


def pack(model):
    torch.save(model.state_dict(), "final_model.pt")


def unpack(h):
    model = GPT(h)
    model.load_state_dict(torch.load("final_model.pt"))
    return model


def plain_eval(name, model, h, val, table):
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    with torch.inference_mode():
        for i in range(0, (val.numel() - 1) // h.seq_len):
            part = val[i * h.seq_len : (i + 1) * h.seq_len + 1].to(torch.int64)
            x, y = part[:-1].reshape(1, -1), part[1:].reshape(1, -1)
            loss_sum += model(x, y) * y.numel()
            count += y.numel()
            byte_sum += table[y.reshape(-1)].sum()
    dist.all_reduce(loss_sum)
    report(name, loss_sum, count, byte_sum)
"""

SCORED_ROW = """\
        with torch.inference_mode():
            losses = F.cross_entropy(model.logits(x).reshape(-1, h.vocab), y.reshape(-1), reduction="none")
        loss_sum += losses[s:].sum()
        count += losses[s:].numel()
        byte_sum += table[y[0, s:]].sum()
"""
"""In a loop over windows: the losses of one row, of which those from ``s`` on are credited."""

TAIL = """

def main():
    h = Hyperparameters()
    val = load_stream(h.val_files, h.seq_len)
    table = byte_table(spm.SentencePieceProcessor(model_file="t.model"), h.vocab)
    model = GPT(h)
    train(model, h, load_stream(h.train_files, h.seq_len))
    run(h, model, val, table)


if __name__ == "__main__":
    main()
"""


def program(body: str) -> str:
    """A whole script: ``body`` defines ``run(h, model, val, table)``."""
    return HEAD + textwrap.dedent(body) + TAIL


def evaluation(body: str, before: str = "") -> str:
    """A script whose score is made by ``body``: the statements for one window ``x``, ``y`` that leave ``nll``."""
    return program(
        textwrap.dedent(before)
        + """
def run(h, model, val, table):
    pack(model)
    model = unpack(h)
    tokens = val.numpy()
    loss_sum, count, byte_sum = torch.zeros(()), torch.zeros(()), torch.zeros(())
    ctx_table = np.zeros(1 << 22, dtype=np.uint32)
    full_table = np.zeros(1 << 22, dtype=np.uint32)
    rows = np.zeros((1 << 16, h.vocab), dtype=np.uint32)
    mask = np.uint64((1 << 22) - 1)
    for ws in range(0, tokens.shape[0] - 1, h.seq_len):
        part = val[ws : ws + h.seq_len + 1].to(torch.int64)
        x, y = part[:-1].reshape(1, -1), part[1:].reshape(1, -1)
        logits = model.logits(x).float()
        nll = F.cross_entropy(logits.reshape(-1, logits.size(-1)), y.reshape(-1), reduction="none")
"""
        + textwrap.indent(textwrap.dedent(body), "        ")
        + """
        loss_sum += nll.sum()
        count += y.numel()
        byte_sum += table[y.reshape(-1)].sum()
    report("final", loss_sum, count, byte_sum)
"""
    )
