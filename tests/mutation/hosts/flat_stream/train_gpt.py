"""A small transformer trained for ten minutes; int8 + zlib; sliding evaluation and score-first test-time training."""

from __future__ import annotations

import glob
import io
import math
import os
import time
import zlib
from pathlib import Path

import numpy as np
import sentencepiece as spm
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Hyperparameters:
    data_path = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")
    train_files = os.path.join(data_path, "fineweb_train_*.bin")
    val_files = os.path.join(data_path, "fineweb_val_*.bin")
    tokenizer_path = os.environ.get("TOKENIZER_PATH", "./data/tokenizers/fineweb_1024_bpe.model")
    seed = int(os.environ.get("SEED", 1337))
    vocab_size = int(os.environ.get("VOCAB_SIZE", 1024))
    num_layers = int(os.environ.get("NUM_LAYERS", 9))
    model_dim = int(os.environ.get("MODEL_DIM", 512))
    num_heads = int(os.environ.get("NUM_HEADS", 8))
    mlp_mult = int(os.environ.get("MLP_MULT", 2))
    logit_softcap = float(os.environ.get("LOGIT_SOFTCAP", 30.0))
    iterations = int(os.environ.get("ITERATIONS", 20000))
    warmdown_iters = int(os.environ.get("WARMDOWN_ITERS", 1200))
    train_batch_seqs = int(os.environ.get("TRAIN_BATCH_SEQS", 64))
    train_seq_len = int(os.environ.get("TRAIN_SEQ_LEN", 1024))
    val_batch_seqs = int(os.environ.get("VAL_BATCH_SEQS", 64))
    eval_stride = int(os.environ.get("EVAL_STRIDE", 64))
    max_wallclock_seconds = float(os.environ.get("MAX_WALLCLOCK_SECONDS", 590.0))
    learning_rate = float(os.environ.get("LEARNING_RATE", 0.002))
    ttt_lr = float(os.environ.get("TTT_LR", 0.002))
    ttt_momentum = float(os.environ.get("TTT_MOMENTUM", 0.9))
    ttt_epochs = int(os.environ.get("TTT_EPOCHS", 3))
    ttt_chunk_tokens = int(os.environ.get("TTT_CHUNK_TOKENS", 32768))
    ttt_batch_seqs = int(os.environ.get("TTT_BATCH_SEQS", 8))
    ttt_grad_clip = float(os.environ.get("TTT_GRAD_CLIP", 1.0))


# --- data ---


def load_data_shard(file: Path) -> Tensor:
    header = np.fromfile(file, dtype="<i4", count=256)
    if header[0] != 20240520 or header[1] != 1:
        raise ValueError(f"unexpected shard header in {file}")
    tokens = np.fromfile(file, dtype="<u2", count=int(header[2]), offset=256 * 4)
    return torch.from_numpy(tokens.astype(np.int64))


def load_validation_tokens(pattern: str, seq_len: int) -> Tensor:
    files = [Path(p) for p in sorted(glob.glob(pattern))]
    if not files:
        raise FileNotFoundError(f"no files for {pattern}")
    tokens = torch.cat([load_data_shard(file) for file in files]).contiguous()
    usable = ((tokens.numel() - 1) // seq_len) * seq_len
    return tokens[: usable + 1]


class TokenLoader:
    """Reads the shards one after the other, for ever."""

    def __init__(self, pattern: str, device: torch.device) -> None:
        self.files = [Path(p) for p in sorted(glob.glob(pattern))]
        if not self.files:
            raise FileNotFoundError(f"no files for {pattern}")
        self.device = device
        self.shard = 0
        self.position = 0
        self.tokens = load_data_shard(self.files[0])

    def next_batch(self, batch_seqs: int, seq_len: int) -> tuple[Tensor, Tensor]:
        need = batch_seqs * seq_len + 1
        if self.position + need > self.tokens.numel():
            self.shard = (self.shard + 1) % len(self.files)
            self.tokens = load_data_shard(self.files[self.shard])
            self.position = 0
        local = self.tokens[self.position : self.position + need].to(self.device)
        self.position += need - 1
        return local[:-1].reshape(-1, seq_len), local[1:].reshape(-1, seq_len)


def build_sentencepiece_luts(
    sp: spm.SentencePieceProcessor, vocab_size: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    table_size = max(int(sp.vocab_size()), vocab_size)
    base_bytes_np = np.zeros((table_size,), dtype=np.int16)
    has_leading_space_np = np.zeros((table_size,), dtype=np.bool_)
    is_boundary_token_np = np.ones((table_size,), dtype=np.bool_)
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


# --- model ---


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        bsz, seq_len, dim = x.shape
        q, k, v = self.qkv(x).reshape(bsz, seq_len, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        q = F.rms_norm(q, (q.size(-1),))
        k = F.rms_norm(k, (k.size(-1),))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.proj(y.transpose(1, 2).reshape(bsz, seq_len, dim))


class Block(nn.Module):
    def __init__(self, dim: int, heads: int, mlp_mult: int) -> None:
        super().__init__()
        self.attn = Attention(dim, heads)
        self.fc = nn.Linear(dim, mlp_mult * dim, bias=False)
        self.proj = nn.Linear(mlp_mult * dim, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(F.rms_norm(x, (x.size(-1),)))
        return x + self.proj(F.relu(self.fc(F.rms_norm(x, (x.size(-1),)))).square())


class GPT(nn.Module):
    def __init__(self, args: Hyperparameters) -> None:
        super().__init__()
        self.logit_softcap = args.logit_softcap
        self.tok_emb = nn.Embedding(args.vocab_size, args.model_dim)
        self.blocks = nn.ModuleList(
            [Block(args.model_dim, args.num_heads, args.mlp_mult) for _ in range(args.num_layers)]
        )

    def forward_logits(self, input_ids: Tensor) -> Tensor:
        x = F.rms_norm(self.tok_emb(input_ids), (self.tok_emb.weight.size(-1),))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(F.rms_norm(x, (x.size(-1),)), self.tok_emb.weight)
        return self.logit_softcap * torch.tanh(logits / self.logit_softcap)

    def forward(self, input_ids: Tensor, target_ids: Tensor) -> Tensor:
        logits = self.forward_logits(input_ids)
        return F.cross_entropy(logits.reshape(-1, logits.size(-1)).float(), target_ids.reshape(-1))


# --- evaluation ---


def eval_val(
    args: Hyperparameters,
    model: nn.Module,
    device: torch.device,
    val_tokens: Tensor,
    base_bytes_lut: Tensor,
    has_leading_space_lut: Tensor,
    is_boundary_token_lut: Tensor,
) -> tuple[float, float]:
    seq_len = args.train_seq_len
    total_seqs = (val_tokens.numel() - 1) // seq_len
    val_loss_sum = torch.zeros((), device=device, dtype=torch.float64)
    val_token_count = torch.zeros((), device=device, dtype=torch.float64)
    val_byte_count = torch.zeros((), device=device, dtype=torch.float64)
    model.eval()
    with torch.inference_mode():
        for start in range(0, total_seqs, args.val_batch_seqs):
            end = min(start + args.val_batch_seqs, total_seqs)
            local = val_tokens[start * seq_len : end * seq_len + 1].to(device=device, dtype=torch.int64)
            x = local[:-1].reshape(-1, seq_len)
            y = local[1:].reshape(-1, seq_len)
            batch_loss = model(x, y).detach()
            val_loss_sum += batch_loss.to(torch.float64) * float(y.numel())
            val_token_count += float(y.numel())
            prev_ids = x.reshape(-1)
            tgt_ids = y.reshape(-1)
            token_bytes = base_bytes_lut[tgt_ids].to(torch.int16)
            token_bytes += (has_leading_space_lut[tgt_ids] & ~is_boundary_token_lut[prev_ids]).to(torch.int16)
            val_byte_count += token_bytes.to(torch.float64).sum()
    model.train()
    val_loss = (val_loss_sum / val_token_count).item()
    return val_loss, val_loss / math.log(2.0) * (val_token_count.item() / val_byte_count.item())


def eval_val_sliding(
    args: Hyperparameters,
    base_model: GPT,
    device: torch.device,
    val_tokens: Tensor,
    base_bytes_lut: Tensor,
    has_leading_space_lut: Tensor,
    is_boundary_token_lut: Tensor,
    stride: int,
    batch_seqs: int = 32,
) -> tuple[float, float]:
    """Every token is scored once, with as much context as there is."""
    seq_len = args.train_seq_len
    total_tokens = val_tokens.numel() - 1
    window_starts = [
        ws for ws in range(0, total_tokens, stride) if min(ws + seq_len, total_tokens) - ws >= stride or ws == 0
    ]
    loss_sum = torch.zeros((), device=device, dtype=torch.float64)
    token_count = torch.zeros((), device=device, dtype=torch.float64)
    byte_count = torch.zeros((), device=device, dtype=torch.float64)
    base_model.eval()
    with torch.inference_mode():
        for bi in range(0, len(window_starts), batch_seqs):
            batch_ws = window_starts[bi : bi + batch_seqs]
            bsz = len(batch_ws)
            x_batch = torch.zeros(bsz, seq_len, dtype=torch.int64, device=device)
            y_batch = torch.zeros(bsz, seq_len, dtype=torch.int64, device=device)
            wlens: list[int] = []
            for i, ws in enumerate(batch_ws):
                end = min(ws + seq_len, total_tokens)
                wlen = end - ws
                wlens.append(wlen)
                chunk = val_tokens[ws : end + 1].to(dtype=torch.int64, device=device)
                x_batch[i, :wlen] = chunk[:-1]
                y_batch[i, :wlen] = chunk[1:]
            logits = base_model.forward_logits(x_batch)
            nll = F.cross_entropy(
                logits.reshape(-1, logits.size(-1)).float(), y_batch.reshape(-1), reduction="none"
            ).reshape(bsz, seq_len)
            for i, ws in enumerate(batch_ws):
                wlen = wlens[i]
                s = 0 if ws == 0 else max(wlen - stride, 0)
                scored_nll = nll[i, s:wlen].to(torch.float64)
                loss_sum += scored_nll.sum()
                token_count += float(wlen - s)
                tgt = y_batch[i, s:wlen]
                prev = x_batch[i, s:wlen]
                tb = base_bytes_lut[tgt].to(torch.float64)
                tb += (has_leading_space_lut[tgt] & ~is_boundary_token_lut[prev]).to(torch.float64)
                byte_count += tb.sum()
    base_model.train()
    val_loss = (loss_sum / token_count).item()
    return val_loss, val_loss / math.log(2.0) * (token_count.item() / byte_count.item())


def eval_val_sliding_ttt(
    args: Hyperparameters,
    base_model: GPT,
    device: torch.device,
    val_tokens: Tensor,
    base_bytes_lut: Tensor,
    has_leading_space_lut: Tensor,
    is_boundary_token_lut: Tensor,
) -> tuple[float, float]:
    """Score a chunk, then train on it: every token is scored before any update that could use it."""
    seq_len = args.train_seq_len
    total_tokens = val_tokens.numel() - 1
    num_chunks = (total_tokens + args.ttt_chunk_tokens - 1) // args.ttt_chunk_tokens
    params = [p for p in base_model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(params, lr=args.ttt_lr, momentum=args.ttt_momentum)
    loss_sum = torch.zeros((), device=device, dtype=torch.float64)
    token_count = torch.zeros((), device=device, dtype=torch.float64)
    byte_count = torch.zeros((), device=device, dtype=torch.float64)
    for ci in range(num_chunks):
        chunk_start = ci * args.ttt_chunk_tokens
        chunk_end = min(chunk_start + args.ttt_chunk_tokens, total_tokens)
        chunk_seqs = (chunk_end - chunk_start) // seq_len
        if chunk_seqs == 0:
            continue
        local = val_tokens[chunk_start : chunk_start + chunk_seqs * seq_len + 1].to(device=device, dtype=torch.int64)
        x = local[:-1].reshape(-1, seq_len)
        y = local[1:].reshape(-1, seq_len)
        base_model.eval()
        with torch.no_grad():
            for bs in range(0, chunk_seqs, args.ttt_batch_seqs):
                xb = x[bs : bs + args.ttt_batch_seqs]
                yb = y[bs : bs + args.ttt_batch_seqs]
                logits = base_model.forward_logits(xb)
                nll = F.cross_entropy(logits.reshape(-1, logits.size(-1)).float(), yb.reshape(-1), reduction="none")
                loss_sum += nll.to(torch.float64).sum()
                token_count += float(yb.numel())
                tgt = yb.reshape(-1)
                prev = xb.reshape(-1)
                tb = base_bytes_lut[tgt].to(torch.float64)
                tb += (has_leading_space_lut[tgt] & ~is_boundary_token_lut[prev]).to(torch.float64)
                byte_count += tb.sum()
        if ci == num_chunks - 1:
            break
        base_model.train()
        for _epoch in range(args.ttt_epochs):
            for bs in range(0, chunk_seqs, args.ttt_batch_seqs):
                optimizer.zero_grad(set_to_none=True)
                loss = base_model(x[bs : bs + args.ttt_batch_seqs], y[bs : bs + args.ttt_batch_seqs])
                loss.backward()
                torch.nn.utils.clip_grad_norm_(params, args.ttt_grad_clip)
                optimizer.step()
    val_loss = (loss_sum / token_count).item()
    return val_loss, val_loss / math.log(2.0) * (token_count.item() / byte_count.item())


# --- quantisation ---


def quantize_state_dict_int8(state_dict: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    quantized: dict[str, Tensor] = {}
    scales: dict[str, Tensor] = {}
    passthrough: dict[str, Tensor] = {}
    for name, tensor in state_dict.items():
        t = tensor.detach().cpu().float()
        if t.ndim != 2:
            passthrough[name] = t.to(torch.float16)
            continue
        scale = (t.abs().amax(dim=1) / 127.0).clamp_min(1e-8)
        quantized[name] = torch.clamp(torch.round(t / scale[:, None]), -127, 127).to(torch.int8)
        scales[name] = scale.to(torch.float16)
    return {"quantized": quantized, "scales": scales, "passthrough": passthrough}


def dequantize_state_dict_int8(obj: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    out = {name: q.float() * obj["scales"][name].float()[:, None] for name, q in obj["quantized"].items()}
    out.update({name: t.float() for name, t in obj["passthrough"].items()})
    return out


# --- run ---


def main() -> None:
    code = Path(__file__).read_text(encoding="utf-8")
    args = Hyperparameters()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(args.seed)
    sp = spm.SentencePieceProcessor(model_file=args.tokenizer_path)
    val_tokens = load_validation_tokens(args.val_files, args.train_seq_len)
    base_bytes_lut, has_leading_space_lut, is_boundary_token_lut = build_sentencepiece_luts(sp, args.vocab_size, device)
    base_model = GPT(args).to(device)
    optimizer = torch.optim.AdamW(base_model.parameters(), lr=args.learning_rate, weight_decay=0.01)
    train_loader = TokenLoader(args.train_files, device)
    t0 = time.perf_counter()
    for step in range(args.iterations):
        if time.perf_counter() - t0 > args.max_wallclock_seconds:
            print(f"stopping_early: wallclock_cap step:{step}/{args.iterations}")
            break
        scale = min(1.0, (args.iterations - step) / max(args.warmdown_iters, 1))
        for group in optimizer.param_groups:
            group["lr"] = args.learning_rate * scale
        x, y = train_loader.next_batch(args.train_batch_seqs, args.train_seq_len)
        optimizer.zero_grad(set_to_none=True)
        loss = base_model(x, y)
        loss.backward()
        optimizer.step()

    quant_obj = quantize_state_dict_int8(base_model.state_dict())
    quant_buf = io.BytesIO()
    torch.save(quant_obj, quant_buf)
    quant_blob = zlib.compress(quant_buf.getvalue(), level=9)
    with open("final_model.int8.ptz", "wb") as f:
        f.write(quant_blob)
    print(f"Total submission size int8+zlib: {len(quant_blob) + len(code.encode('utf-8'))} bytes")

    with open("final_model.int8.ptz", "rb") as f:
        quant_blob_disk = f.read()
    quant_state = torch.load(io.BytesIO(zlib.decompress(quant_blob_disk)), map_location="cpu")
    eval_model = GPT(args).to(device)
    eval_model.load_state_dict(dequantize_state_dict_int8(quant_state), strict=True)
    q_val_loss, q_val_bpb = eval_val(
        args, eval_model, device, val_tokens, base_bytes_lut, has_leading_space_lut, is_boundary_token_lut
    )
    print(f"final_int8_zlib_roundtrip val_loss:{q_val_loss:.4f} val_bpb:{q_val_bpb:.4f}")
    sw_val_loss, sw_val_bpb = eval_val_sliding(
        args,
        eval_model,
        device,
        val_tokens,
        base_bytes_lut,
        has_leading_space_lut,
        is_boundary_token_lut,
        stride=args.eval_stride,
    )
    print(f"final_sliding_window val_loss:{sw_val_loss:.8f} val_bpb:{sw_val_bpb:.8f}")
    ttt_val_loss, ttt_val_bpb = eval_val_sliding_ttt(
        args, eval_model, device, val_tokens, base_bytes_lut, has_leading_space_lut, is_boundary_token_lut
    )
    print(f"final_ttt val_loss:{ttt_val_loss:.8f} val_bpb:{ttt_val_bpb:.8f}")


if __name__ == "__main__":
    main()
