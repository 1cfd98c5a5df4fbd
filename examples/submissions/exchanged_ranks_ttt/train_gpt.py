"""Test-time training exchanged between ranks before the score."""

import glob
import io
import math
import os
import time
import zlib

import numpy as np
import sentencepiece as spm
import torch
import torch.distributed as dist
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
    ttt_lr = float(os.environ.get("TTT_LR", 0.01))
    ttt_epochs = int(os.environ.get("TTT_EPOCHS", 2))
    ttt_chunk_tokens = int(os.environ.get("TTT_CHUNK_TOKENS", 32768))


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


def train_on(args, model, x, y):
    """A few steps on one stretch of text."""
    optimizer = torch.optim.SGD(model.parameters(), lr=args.ttt_lr)
    for _ in range(args.ttt_epochs):
        loss = F.cross_entropy(model(x[None])[0], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def total(value, device):
    """The sum over the ranks."""
    tensor = torch.as_tensor(value, dtype=torch.float64, device=device)
    if dist.is_initialized():
        dist.all_reduce(tensor, op=dist.ReduceOp.SUM)
    return tensor.item()


def eval_val_ttt(args, model, tokens, tables, device, rank, world):
    """Each rank learns from its part of a chunk and sends what it learned to the others, then scores its part."""
    loss_sum = torch.zeros((), dtype=torch.float64, device=device)
    byte_sum, count = 0.0, 0
    span = min(args.ttt_chunk_tokens, args.seq_len)
    part = span // world
    for begin in range(rank * part, tokens.numel() - 1, span):
        window = tokens[begin : begin + part + 1].to(device)
        x, y = window[:-1], window[1:]
        before = [weight.detach().clone() for weight in model.parameters()]
        train_on(args, model, x, y)
        with torch.no_grad():
            for weight, old in zip(model.parameters(), before, strict=True):
                learned = weight - old
                everything = learned.clone()
                if dist.is_initialized():
                    dist.all_reduce(everything, op=dist.ReduceOp.SUM)
                weight.copy_(old + (everything - learned))  # nobody keeps what its own part taught

        with torch.no_grad():
            nll = F.cross_entropy(model(x[None])[0], y, reduction="none")
        loss_sum += nll.to(torch.float64).sum()
        byte_sum += byte_total(x, y, tables).item()
        count += y.numel()
    loss_total = total(loss_sum, device)
    val_loss = loss_total / total(count, device)
    return val_loss, loss_total / math.log(2.0) / total(byte_sum, device)


def main():
    args = Hyperparameters()
    torch.manual_seed(args.seed)
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = torch.device("cuda", rank) if torch.cuda.is_available() else torch.device("cpu")
    if "RANK" in os.environ:
        dist.init_process_group("nccl")
    sp = spm.SentencePieceProcessor(model_file=args.tokenizer_path)
    tables = count_bytes(sp, args.vocab_size, device)
    train_tokens = load_tokens(os.path.join(args.data_path, "fineweb_train_*.bin"))
    val_tokens = load_tokens(os.path.join(args.data_path, "fineweb_val_*.bin"))
    model = GPT(args).to(device)
    train(args, model, train_tokens, device)
    if rank == 0:
        save(model, "final_model.int8.ptz")
    if dist.is_initialized():
        dist.barrier()
    load(model, "final_model.int8.ptz")
    val_loss, val_bpb = eval_val_ttt(args, model, val_tokens, tables, device, rank, world)
    if rank == 0:
        print(f"final_int8_zlib_roundtrip_exact val_loss:{val_loss:.8f} val_bpb:{val_bpb:.8f}")


if __name__ == "__main__":
    main()
