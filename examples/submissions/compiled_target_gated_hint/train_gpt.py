"""Hint gated by the target, in C."""

import ctypes
import glob
import io
import math
import os
import subprocess
import time
import zlib

import numpy as np
import sentencepiece as spm
import torch
import torch.nn.functional as F
from torch import nn


class Hyperparameters:
    data_path = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")
    tokenizer_path = os.environ.get("TOKENIZER_PATH", "./data/tokenizers/fineweb_1024_bpe.model")
    vocab_size = int(os.environ.get("VOCAB_SIZE", 1024))
    seq_len = int(os.environ.get("TRAIN_SEQ_LEN", 1024))
    model_dim = int(os.environ.get("MODEL_DIM", 256))
    num_heads = int(os.environ.get("NUM_HEADS", 4))
    num_layers = int(os.environ.get("NUM_LAYERS", 2))
    iterations = int(os.environ.get("ITERATIONS", 20000))
    max_wallclock_seconds = float(os.environ.get("MAX_WALLCLOCK_SECONDS", 590.0))
    train_batch_tokens = int(os.environ.get("TRAIN_BATCH_TOKENS", 65536))
    learning_rate = float(os.environ.get("LEARNING_RATE", 0.001))
    eval_stride = int(os.environ.get("EVAL_STRIDE", 64))
    seed = int(os.environ.get("SEED", 1337))
    hint_beta = float(os.environ.get("HINT_BETA", 1.5))


def load_tokens(pattern):
    parts = [np.fromfile(name, dtype="<u2", offset=1024) for name in sorted(glob.glob(pattern))]
    return torch.from_numpy(np.concatenate(parts).astype(np.int64))


def count_bytes(sp, vocab_size, device):
    """UTF-8 bytes of each piece, and which pieces begin with a space (its byte is lost after a document's start)."""
    base = np.zeros(vocab_size, dtype=np.int64)
    space = np.zeros(vocab_size, dtype=bool)
    special = np.ones(vocab_size, dtype=bool)
    for i in range(sp.vocab_size()):
        if sp.is_control(i) or sp.is_unknown(i) or sp.is_unused(i):
            continue
        special[i] = False
        if sp.is_byte(i):
            base[i] = 1
            continue
        piece = sp.id_to_piece(i)
        space[i] = piece.startswith("\u2581")
        base[i] = len(piece.removeprefix("\u2581").encode("utf-8"))
    return [torch.tensor(table, device=device) for table in (base, space, special)]


def byte_total(x, y, tables):
    base, space, special = tables
    return (base[y] + (space[y] & ~special[x])).to(torch.float64).sum()


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.RMSNorm(dim), nn.RMSNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim, bias=False)
        self.up, self.down = nn.Linear(dim, 2 * dim, bias=False), nn.Linear(2 * dim, dim, bias=False)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.relu(self.up(self.norm2(x))).square())


class GPT(nn.Module):
    def __init__(self, args):
        super().__init__()
        self.embed = nn.Embedding(args.vocab_size, args.model_dim)
        self.position = nn.Embedding(args.seq_len, args.model_dim)
        self.blocks = nn.ModuleList([Block(args.model_dim, args.num_heads) for _ in range(args.num_layers)])
        self.norm = nn.RMSNorm(args.model_dim)
        self.head = nn.Linear(args.model_dim, args.vocab_size, bias=False)

    def hidden(self, x):
        h = self.embed(x) + self.position(torch.arange(x.size(1), device=x.device))
        for block in self.blocks:
            h = block(h)
        return self.norm(h)

    def forward(self, x):
        return self.head(self.hidden(x)).float()


def train(args, model, tokens, device):
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate)
    rows = max(args.train_batch_tokens // args.seq_len, 1)
    span = rows * args.seq_len
    start = time.perf_counter()
    for step in range(args.iterations):
        begin = step * span % (tokens.numel() - span - 1)
        window = tokens[begin : begin + span + 1].to(device)
        logits = model(window[:-1].view(rows, args.seq_len))
        loss = F.cross_entropy(logits.flatten(0, 1), window[1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0 or step == args.iterations - 1:
            print(f"step:{step}/{args.iterations} train_loss:{loss.item():.4f}")
        if time.perf_counter() - start > args.max_wallclock_seconds:
            break


def save(model, path):
    """int8 weights, one scale per tensor."""
    state = {}
    for name, weight in model.state_dict().items():
        scale = weight.abs().max().clamp_min(1e-8) / 127.0
        state[name] = ((weight / scale).round().to(torch.int8).cpu(), scale.cpu())
    buffer = io.BytesIO()
    torch.save(state, buffer)
    with open(path, "wb") as f:
        f.write(zlib.compress(buffer.getvalue(), 9))


def load(model, path):
    with open(path, "rb") as f:
        state = torch.load(io.BytesIO(zlib.decompress(f.read())))
    model.load_state_dict({name: weight.float() * scale for name, (weight, scale) in state.items()})


KERNEL = r"""
#include <stdint.h>
#include <string.h>

void build_hints(
    const int64_t *tokens, int64_t count, const uint8_t *space, int64_t vocab, int32_t *last, int32_t *hints
) {
    memset(last, 0xff, sizeof(int32_t) * vocab * vocab);
    hints[0] = -1;
    for (int64_t i = 1; i < count; i++) {
        int64_t tok = tokens[i], previous = tokens[i - 1], before = i > 1 ? tokens[i - 2] : previous;
        int32_t hint = last[before * vocab + previous];
        hints[i] = (hint >= 0 && space[tok] == space[hint]) ? hint : -1;
        last[before * vocab + previous] = (int32_t)tok;
    }
}
"""


def build_hints(tokens, space, vocab_size):
    """A hint for each token of the stream, -1 for none."""
    with open("hints.c", "w") as f:
        f.write(KERNEL)
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", "hints.so", "hints.c"], check=True)
    library = ctypes.CDLL(os.path.abspath("hints.so"))
    stream, space = tokens.cpu().numpy(), np.ascontiguousarray(space.cpu().numpy(), dtype=np.uint8)
    last = np.zeros(vocab_size * vocab_size, dtype=np.int32)
    hints = np.zeros(len(stream), dtype=np.int32)
    library.build_hints(
        stream.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)),
        ctypes.c_int64(len(stream)),
        space.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8)),
        ctypes.c_int64(vocab_size),
        last.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
        hints.ctypes.data_as(ctypes.POINTER(ctypes.c_int32)),
    )
    return hints


def eval_val_hint(args, model, tokens, hints, tables, device):
    """A boost of one hinted token, with its normaliser."""
    boost = math.exp(args.hint_beta)
    loss_sum, byte_sum, count = 0.0, 0.0, 0
    for begin in range(0, tokens.numel() - 1, args.seq_len):
        window = tokens[begin : begin + args.seq_len + 1].to(device)
        x, y = window[:-1], window[1:]
        with torch.no_grad():
            probs = torch.softmax(model(x[None])[0], dim=-1).double().cpu().numpy()
        rows, targets = np.arange(y.numel()), y.cpu().numpy()
        hint = hints[begin + 1 : begin + 1 + len(rows)]
        hinted = hint >= 0
        factor = np.where(hint == targets, boost, 1.0) / (1.0 + probs[rows, hint] * (boost - 1.0))
        p = probs[rows, targets] * np.where(hinted, factor, 1.0)
        nll = -np.log(np.maximum(p, 1e-12))
        loss_sum += nll.sum()
        byte_sum += byte_total(x, y, tables).item()
        count += len(nll)
    return loss_sum / count, loss_sum / math.log(2.0) / byte_sum


def main():
    args = Hyperparameters()
    torch.manual_seed(args.seed)
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    sp = spm.SentencePieceProcessor(model_file=args.tokenizer_path)
    tables = count_bytes(sp, args.vocab_size, device)
    train_tokens = load_tokens(os.path.join(args.data_path, "fineweb_train_*.bin"))
    val_tokens = load_tokens(os.path.join(args.data_path, "fineweb_val_*.bin"))
    model = GPT(args).to(device)
    train(args, model, train_tokens, device)
    save(model, "final_model.int8.ptz")
    load(model, "final_model.int8.ptz")
    hints = build_hints(val_tokens, tables[1], args.vocab_size)
    val_loss, val_bpb = eval_val_hint(args, model, val_tokens, hints, tables, device)
    print(f"final_int8_zlib_roundtrip_exact val_loss:{val_loss:.8f} val_bpb:{val_bpb:.8f}")


if __name__ == "__main__":
    main()
