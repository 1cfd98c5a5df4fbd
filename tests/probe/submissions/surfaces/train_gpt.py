"""A small submission that touches every surface the probe stands in for; MODE makes it misbehave."""

from __future__ import annotations

import ctypes
import io
import lzma
import math
import os
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import brotli
import helper
import numpy as np
import sentencepiece as spm
import torch
import torch.distributed as dist
import torch.nn.functional as F
import triton
import triton.language as tl
from flash_attn_interface import flash_attn_func
from torch import nn
from torch.nn.parallel import DistributedDataParallel as DDP

MODE = os.environ.get("MODE", "")


class Hyperparameters:
    vocab_size = int(os.environ.get("VOCAB_SIZE", 1024))
    model_dim = int(os.environ.get("MODEL_DIM", 512))
    iterations = int(os.environ.get("ITERATIONS", 20000))
    data_path = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")
    tokenizer_path = os.environ.get("TOKENIZER_PATH", "./data/tokenizers/fineweb_1024_bpe.model")


if MODE == "load-error":
    raise RuntimeError("will not load")


class Model(nn.Module):
    def __init__(self, vocabulary: int, dim: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, dim)
        self.head = nn.Linear(dim, vocabulary, bias=False)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        h = self.embed(x)
        heads = h.view(*h.shape[:2], 4, -1)
        h = h + flash_attn_func(heads, heads[:, :, :2], heads[:, :, :2], causal=True).reshape(h.shape)
        return F.cross_entropy(self.head(h).float().flatten(0, 1), y.flatten())


def load_data_shard(path: Path) -> torch.Tensor:
    header = np.fromfile(path, "<i4", 256)
    tokens = np.fromfile(path, "<u2", int(header[2]), offset=1024)
    return torch.from_numpy(tokens.astype(np.int64))


def eval_val(
    model: nn.Module, val_tokens: torch.Tensor, device: torch.device, val_bytes: torch.Tensor | None = None
) -> tuple[float, int]:
    counter = Path(os.environ["TMPDIR"]) / "counter"
    counter.write_text(counter.read_text() + "x" if counter.exists() else "x")
    total, count = torch.zeros((), dtype=torch.float64, device=device), 0
    with torch.inference_mode(), torch.autocast(device_type="cuda", dtype=torch.bfloat16):
        for start in range(0, len(val_tokens) - 1, 64):
            x, y = val_tokens[start : start + 64][None], val_tokens[start + 1 : start + 65][None]
            total += model(x[:, : y.shape[1]], y).to(torch.float64) * y.numel()
            count += y.numel()
    unit = count if val_bytes is None else math.log(2.0) * val_bytes[1:].double().sum()
    return float(total / unit), len(counter.read_text())


@triton.jit
def double(source, target, n: tl.constexpr):
    at = tl.arange(0, n)
    tl.store(target + at, 2 * tl.load(source + at))


def check_machine(device: torch.device) -> None:
    assert isinstance(device, torch.device)
    assert torch.cuda.get_device_capability() == (9, 0)
    assert torch.cuda.get_device_properties(0).multi_processor_count == 132
    x = torch.ones(4, device="cuda", dtype=torch.bfloat16, pin_memory=True)
    assert x.is_cuda
    assert x.cuda().to("cuda:0", non_blocking=True).device.type == "cpu"
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    assert event.elapsed_time(torch.cuda.Event()) < 0
    y = torch.zeros(4)
    double[(1,)](x, y, 4)
    assert y.tolist() == [2.0] * 4
    gathered = [torch.zeros(4)]
    dist.all_gather(gathered, x)
    dist.all_reduce(x, op=dist.ReduceOp.AVG)
    assert gathered[0].tolist() == x.tolist() == [1.0] * 4
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.zeros(1, device="cuda").device.type))
    thread.start()
    thread.join()
    assert seen == ["cpu"]
    before = time.perf_counter()
    time.sleep(100)
    assert 0 < time.perf_counter() - before < 1
    assert subprocess.run(["nvidia-smi"], check=True, capture_output=True).returncode == 0
    assert ctypes.CDLL(None).getpid() == os.getpid()
    assert torch._dynamo.config is not None
    assert helper.STRIDE == 16


def misbehave() -> None:
    if MODE == "error":
        raise ValueError("as asked")
    if MODE == "exit":
        sys.exit(3)
    if MODE == "memory":
        bytearray(1 << 45)
    while MODE == "spin":
        pass
    if MODE == "vanish":
        os._exit(7)
    if MODE == "stray":
        subprocess.Popen(["sleep", "1000"], start_new_session=True)


@torch.compile(dynamic=False)
def step(model: nn.Module, optimizer: torch.optim.Optimizer, tokens: torch.Tensor) -> None:
    optimizer.zero_grad()
    model(tokens[:64][None], tokens[1:65][None]).backward()
    optimizer.step()


def main() -> tuple[float, int]:
    args = Hyperparameters()
    dist.init_process_group(backend="nccl", device_id=torch.device("cuda", int(os.environ["LOCAL_RANK"])))
    device = torch.device("cuda", 0)
    torch.cuda.set_device(device)
    check_machine(device)
    misbehave()
    torch.manual_seed(1337)
    assert spm.SentencePieceProcessor(model_file=args.tokenizer_path).vocab_size() == args.vocab_size
    base = Model(args.vocab_size, args.model_dim).to(device).bfloat16()
    model = DDP(torch.compile(base), device_ids=[0])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    train = load_data_shard(next(Path(args.data_path).glob("fineweb_train_*.bin")))
    val_tokens = load_data_shard(next(Path(args.data_path).glob("fineweb_val_0*.bin"))).to(device)
    val_bytes = load_data_shard(next(Path(args.data_path).glob("fineweb_val_bytes_*.bin")))
    for _ in range(args.iterations):
        step(model, optimizer, train)
    if MODE == "train-on-validation":
        step(model, optimizer, val_tokens)
    torch.save(base.state_dict(), "final_model.pt")
    with io.BytesIO() as raw:
        torch.save(base.state_dict(), raw)
        blob = brotli.compress(lzma.compress(raw.getvalue(), preset=9), quality=11)
    Path("final_model.ptz").write_bytes(blob)
    restored = torch.load(io.BytesIO(lzma.decompress(brotli.decompress(Path("final_model.ptz").read_bytes()))))
    base.load_state_dict(restored)
    if MODE == "train-at-evaluation":
        step(model, optimizer, load_data_shard(next(Path(args.data_path).glob("fineweb_train_*.bin"))))
    if MODE == "remembered-training-data":
        print("the log is written", file=sys.stderr)
        Path(f"{uuid.uuid4()}.txt").write_text("x")
        step(model, optimizer, train)
    print("log: temperature", time.time())
    loss, calls = eval_val(model, val_tokens, device, *([val_bytes] if MODE == "sidecar" else []))
    sys.stdout.write(f"final val_{'bpb' if MODE == 'sidecar' else 'loss'}:{loss:.8f} calls:{calls}\n")
    return loss, calls


if MODE == "no-main":
    del main
