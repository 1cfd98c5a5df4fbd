"""Bigram-hash embedding, calibrated int6 + lzma, document-wise evaluation with one adapter per document."""

import copy
import glob
import io
import lzma
import math
import os
import time
from pathlib import Path

import numpy as np
import sentencepiece as spm
import torch
import torch.nn.functional as F
from torch import nn


class Hyperparameters:
    data_dir = os.environ.get("DATA_DIR", "./data")
    vocab_size = int(os.environ.get("VOCAB_SIZE", 1024))
    datasets_dir = os.path.join(data_dir, "datasets", f"fineweb10B_sp{vocab_size}")
    train_files = os.path.join(datasets_dir, "fineweb_train_*.bin")
    val_files = os.path.join(datasets_dir, "fineweb_val_*.bin")
    tokenizer_path = os.path.join(data_dir, "tokenizers", f"fineweb_{vocab_size}_bpe.model")
    seed = int(os.environ.get("SEED", 42))
    num_layers = int(os.environ.get("NUM_LAYERS", 11))
    model_dim = int(os.environ.get("MODEL_DIM", 384))
    bigram_buckets = int(os.environ.get("BIGRAM_BUCKETS", 4096))
    iterations = int(os.environ.get("ITERATIONS", 9000))
    batch_seqs = int(os.environ.get("BATCH_SEQS", 48))
    train_seq_len = int(os.environ.get("TRAIN_SEQ_LEN", 2048))
    eval_seq_len = int(os.environ.get("EVAL_SEQ_LEN", 2048))
    eval_stride = int(os.environ.get("EVAL_STRIDE", 64))
    max_wallclock_seconds = float(os.environ.get("MAX_WALLCLOCK_SECONDS", 580.0))
    lr = float(os.environ.get("LR", 0.003))
    ema_decay = float(os.environ.get("EMA_DECAY", 0.997))
    calibration_batches = int(os.environ.get("CALIBRATION_BATCHES", 16))
    ttt_rank = int(os.environ.get("TTT_RANK", 8))
    ttt_lr = float(os.environ.get("TTT_LR", 0.001))
    ttt_chunk_size = int(os.environ.get("TTT_CHUNK_SIZE", 256))
    model_path = "final_model.int6.ptz"


_log_file = "train.log"


def log(message):
    print(message)
    with open(_log_file, "a", encoding="utf-8") as f:
        print(message, file=f)


# --- data ---


def load_shard(path):
    header = np.fromfile(path, dtype="<i4", count=256)
    tokens = np.fromfile(path, dtype="<u2", count=int(header[2]), offset=1024)
    return torch.from_numpy(tokens.astype(np.int32))


class ValidationData:
    def __init__(self, h, device):
        self.sp = spm.SentencePieceProcessor(model_file=h.tokenizer_path)
        self.val_tokens = torch.cat([load_shard(Path(p)) for p in sorted(glob.glob(h.val_files))]).contiguous()
        self.base_bytes_lut, self.has_leading_space_lut, self.is_boundary_token_lut = build_luts(
            self.sp, h.vocab_size, device
        )


def build_luts(sp, vocab_size, device):
    size = max(int(sp.vocab_size()), vocab_size)
    base_bytes_np = np.zeros((size,), dtype=np.int16)
    has_leading_space_np = np.zeros((size,), dtype=np.bool_)
    is_boundary_token_np = np.ones((size,), dtype=np.bool_)
    for token_id in range(int(sp.vocab_size())):
        if sp.is_control(token_id) or sp.is_unknown(token_id) or sp.is_unused(token_id):
            continue
        is_boundary_token_np[token_id] = False
        if sp.is_byte(token_id):
            base_bytes_np[token_id] = 1
            continue
        piece = sp.id_to_piece(token_id)
        if piece.startswith("\u2581"):
            has_leading_space_np[token_id] = True
            piece = piece[1:]
        base_bytes_np[token_id] = len(piece.encode("utf-8"))
    return (
        torch.tensor(base_bytes_np, dtype=torch.int16, device=device),
        torch.tensor(has_leading_space_np, dtype=torch.bool, device=device),
        torch.tensor(is_boundary_token_np, dtype=torch.bool, device=device),
    )


class ShuffledLoader:
    """Random sequences of one shard after the other."""

    def __init__(self, h, device):
        self.h = h
        self.device = device
        self.files = sorted(glob.glob(h.train_files))
        self.rng = np.random.default_rng(h.seed)
        self.shard = -1
        self.starts = []

    def next_batch(self, batch_seqs):
        length = self.h.train_seq_len
        while len(self.starts) < batch_seqs:
            self.shard = (self.shard + 1) % len(self.files)
            self.tokens = load_shard(Path(self.files[self.shard]))
            count = (self.tokens.numel() - 1) // length
            self.starts = (self.rng.permutation(count) * length).tolist()
        picked = [self.starts.pop() for _ in range(batch_seqs)]
        rows = torch.stack([self.tokens[at : at + length + 1] for at in picked]).to(self.device, torch.int64)
        return rows[:, :-1], rows[:, 1:]


# --- model ---


class BigramHashEmbedding(nn.Module):
    """An input embedding of the pair (previous token, current token), hashed."""

    def __init__(self, buckets, dim):
        super().__init__()
        self.buckets = buckets
        self.embed = nn.Embedding(buckets, dim)

    def forward(self, ids):
        prev = F.pad(ids[:, :-1], (1, 0))
        return self.embed(torch.bitwise_xor(36313 * ids, 27191 * prev) % self.buckets)


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.heads = dim // 64
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.up = nn.Linear(dim, 3 * dim, bias=False)
        self.down = nn.Linear(3 * dim, dim, bias=False)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(F.rms_norm(x, (d,))).reshape(b, t, 3, self.heads, 64).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.leaky_relu(self.up(F.rms_norm(x, (d,))), 0.5).square())


class Adapter(nn.Module):
    """A low-rank addition to the output head."""

    def __init__(self, dim, vocab_size, rank):
        super().__init__()
        self.A = nn.Parameter(torch.randn(rank, dim) / math.sqrt(dim))
        self.B = nn.Parameter(torch.zeros(vocab_size, rank))

    def forward(self, x):
        return x @ self.A.T @ self.B.T


class GPT(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.tok_emb = nn.Embedding(h.vocab_size, h.model_dim)
        self.bigram = BigramHashEmbedding(h.bigram_buckets, h.model_dim)
        self.blocks = nn.ModuleList([Block(h.model_dim) for _ in range(h.num_layers)])

    def forward_logits(self, ids, adapter=None):
        x = self.tok_emb(ids) + self.bigram(ids)
        for block in self.blocks:
            x = block(x)
        x = F.rms_norm(x, (x.size(-1),))
        logits = F.linear(x, self.tok_emb.weight)
        if adapter is not None:
            logits = logits + adapter(x)
        return 30.0 * torch.tanh(logits / 30.0)

    def forward(self, ids, targets):
        logits = self.forward_logits(ids)
        return F.cross_entropy(logits.reshape(-1, logits.size(-1)).float(), targets.reshape(-1))


# --- evaluation ---


def _loss_bpb(loss_sum, token_count, byte_count):
    val_loss = (loss_sum / token_count).item()
    return val_loss, val_loss / math.log(2.0) * (token_count.item() / byte_count.item())


def _token_bytes(val_data, tgt, prev):
    tb = val_data.base_bytes_lut[tgt].to(torch.float64)
    tb += (val_data.has_leading_space_lut[tgt] & ~val_data.is_boundary_token_lut[prev]).to(torch.float64)
    return tb


def eval_val_sliding(h, device, val_data, base_model, batch_seqs=16):
    base_model.eval()
    seq_len = h.eval_seq_len
    context_size = seq_len - h.eval_stride
    total_tokens = val_data.val_tokens.numel() - 1
    window_starts = [ws for ws in range(0, total_tokens, h.eval_stride) if ws + context_size < total_tokens]
    loss_sum = torch.zeros((), device=device, dtype=torch.float64)
    token_count = torch.zeros((), device=device, dtype=torch.float64)
    byte_count = torch.zeros((), device=device, dtype=torch.float64)
    with torch.no_grad():
        for bi in range(0, len(window_starts), batch_seqs):
            batch_ws = window_starts[bi : bi + batch_seqs]
            rows = torch.zeros(len(batch_ws), seq_len + 1, dtype=torch.int64, device=device)
            score_ranges = []
            for k, ws in enumerate(batch_ws):
                end = min(ws + seq_len, total_tokens)
                rows[k, : end - ws + 1] = val_data.val_tokens[ws : end + 1].to(device=device, dtype=torch.int64)
                score_ranges.append((k * seq_len, end - ws, ws))
            x = rows[:, :-1]
            y = rows[:, 1:]
            logits = base_model.forward_logits(x)
            flat_x = x.reshape(-1)
            flat_y = y.reshape(-1)
            flat_nll = F.cross_entropy(logits.reshape(-1, logits.size(-1)).float(), flat_y, reduction="none")
            for off, wlen, ws in score_ranges:
                s = 0 if ws == 0 else context_size
                lo = off + s
                hi = off + wlen
                scored_nll = flat_nll[lo:hi].to(torch.float64)
                loss_sum += scored_nll.sum()
                token_count += float(hi - lo)
                tgt = flat_y[lo:hi]
                prev = flat_x[lo:hi]
                tb = val_data.base_bytes_lut[tgt].to(torch.float64)
                tb += (val_data.has_leading_space_lut[tgt] & ~val_data.is_boundary_token_lut[prev]).to(torch.float64)
                byte_count += tb.sum()
    base_model.train()
    return _loss_bpb(loss_sum, token_count, byte_count)


def find_documents(tokens, bos_id=1):
    starts = (tokens == bos_id).nonzero(as_tuple=True)[0].tolist()
    ends = [*starts[1:], tokens.numel() - 1]
    return [(start, end) for start, end in zip(starts, ends) if end > start]


def eval_val_documents(h, device, val_data, base_model):
    """One fresh adapter per document: score a chunk, then let the adapter learn from it."""
    for p in base_model.parameters():
        p.requires_grad_(False)
    loss_sum = torch.zeros((), device=device, dtype=torch.float64)
    token_count = torch.zeros((), device=device, dtype=torch.float64)
    byte_count = torch.zeros((), device=device, dtype=torch.float64)
    for start, end in find_documents(val_data.val_tokens):
        adapter = Adapter(h.model_dim, h.vocab_size, h.ttt_rank).to(device)
        optimizer = torch.optim.AdamW(adapter.parameters(), lr=h.ttt_lr)
        for at in range(start, end, h.ttt_chunk_size):
            stop = min(at + h.ttt_chunk_size, end)
            left = max(start, stop - h.eval_seq_len)
            window = val_data.val_tokens[left : stop + 1].to(device=device, dtype=torch.int64)[None]
            x = window[:, :-1]
            y = window[:, 1:]
            logits = base_model.forward_logits(x, adapter)
            ptl = F.cross_entropy(logits.float().transpose(1, 2), y, reduction="none")[0, at - left :]
            loss_sum += ptl.detach().to(torch.float64).sum()
            token_count += float(stop - at)
            byte_count += _token_bytes(val_data, y[0, at - left :], x[0, at - left :]).sum()
            if stop < end:
                optimizer.zero_grad(set_to_none=True)
                ptl.mean().backward()
                optimizer.step()
    return _loss_bpb(loss_sum, token_count, byte_count)


# --- quantisation ---


def collect_hessians(h, model, device):
    """Second moments of every linear layer's input, on training data."""
    hessians = {}
    handles = []

    def hook_for(name):
        def hook(module, inputs, output):
            rows = inputs[0].detach().float().reshape(-1, inputs[0].size(-1))
            hessians[name] = hessians.get(name, 0) + rows.T @ rows

        return hook

    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            handles.append(module.register_forward_hook(hook_for(name + ".weight")))
    loader = ShuffledLoader(h, device)
    model.eval()
    with torch.no_grad():
        for _ in range(h.calibration_batches):
            x, _ = loader.next_batch(h.batch_seqs)
            model.forward_logits(x)
    for handle in handles:
        handle.remove()
    return hessians


def quantize_int6(weight, hessian):
    """Per row, the clip that loses least in the layer's own metric."""
    importance = torch.ones(weight.size(1)) if hessian is None else hessian.diagonal().cpu().clamp_min(1e-6)
    best_q, best_scale, best_error = None, None, None
    for fraction in (0.7, 0.8, 0.9, 1.0):
        scale = (weight.abs().amax(dim=1) * fraction / 31.0).clamp_min(1e-8)
        q = torch.clamp(torch.round(weight / scale[:, None]), -31, 31)
        error = ((weight - q * scale[:, None]).square() * importance).sum().item()
        if best_error is None or error < best_error:
            best_q, best_scale, best_error = q.to(torch.int8), scale.to(torch.float16), error
    return best_q, best_scale


def serialize(h, base_model, hessians, code):
    packed = {}
    for name, tensor in base_model.state_dict().items():
        t = tensor.detach().cpu().float()
        packed[name] = quantize_int6(t, hessians.get(name)) if t.ndim == 2 else t.to(torch.float16)
    buf = io.BytesIO()
    torch.save(packed, buf)
    blob = lzma.compress(buf.getvalue(), preset=9)
    with open(h.model_path, "wb") as f:
        f.write(blob)
    log(f"Total submission size int6+lzma: {len(blob) + len(code.encode('utf-8'))} bytes")


def deserialize(h, device):
    with open(h.model_path, "rb") as f:
        packed = torch.load(io.BytesIO(lzma.decompress(f.read())), map_location="cpu")
    state = {}
    for name, value in packed.items():
        state[name] = value[0].float() * value[1].float()[:, None] if isinstance(value, tuple) else value.float()
    model = GPT(h).to(device)
    model.load_state_dict(state)
    return model


# --- run ---


def train_model(h, device):
    base_model = GPT(h).to(device)
    optimizer = torch.optim.AdamW(base_model.parameters(), lr=h.lr, betas=(0.9, 0.95))
    ema_state = copy.deepcopy(base_model.state_dict())
    loader = ShuffledLoader(h, device)
    t0 = time.perf_counter()
    for step in range(h.iterations):
        elapsed = time.perf_counter() - t0
        if elapsed > h.max_wallclock_seconds:
            log(f"stopping_early: wallclock_cap train_time: {1000 * elapsed:.0f}ms step: {step}/{h.iterations}")
            break
        for group in optimizer.param_groups:
            group["lr"] = h.lr * max(1.0 - elapsed / h.max_wallclock_seconds, 0.05)
        x, y = loader.next_batch(h.batch_seqs)
        optimizer.zero_grad(set_to_none=True)
        base_model(x, y).backward()
        optimizer.step()
        with torch.no_grad():
            for name, t in base_model.state_dict().items():
                ema_state[name].mul_(h.ema_decay).add_(t, alpha=1.0 - h.ema_decay)
    base_model.load_state_dict(ema_state)
    return base_model


def timed_eval(label, fn, *args):
    t0 = time.perf_counter()
    val_loss, val_bpb = fn(*args)
    log(f"{label} val_loss:{val_loss:.8f} val_bpb:{val_bpb:.8f} eval_time:{1000 * (time.perf_counter() - t0):.0f}ms")
    return val_loss, val_bpb


def train_and_eval(h, device):
    torch.manual_seed(h.seed)
    val_data = ValidationData(h, device)
    base_model = train_model(h, device)
    hessians = collect_hessians(h, base_model, device)
    serialize(h, base_model, hessians, Path(__file__).read_text(encoding="utf-8"))
    eval_model = deserialize(h, device)
    timed_eval("quantized_sliding_window", eval_val_sliding, h, device, val_data, eval_model)
    timed_eval("quantized_documents", eval_val_documents, h, device, val_data, eval_model)


def main():
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    h = Hyperparameters()
    for name, value in sorted(vars(Hyperparameters).items()):
        if not name.startswith("_"):
            log(f"  {name}: {value}")
    train_and_eval(h, device)


if __name__ == "__main__":
    main()
