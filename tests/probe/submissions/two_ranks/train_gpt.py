"""A small submission that meets the other rank at every collective; MODE makes the ranks disagree."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel as DDP

MODE = os.environ.get("MODE", "")
RANK = int(os.environ.get("RANK", "0"))
DATA = os.environ.get("DATA_PATH", "./data/datasets/fineweb10B_sp1024")


def same(found: object, expected: object) -> None:
    found = found.tolist() if isinstance(found, torch.Tensor) else found
    if found != expected:
        raise AssertionError(f"{found} is not {expected}")


def reduced(op: object) -> list[float]:
    tensor = torch.tensor([1.0 + RANK, 4.0 - RANK])
    dist.all_reduce(tensor, op=op)
    return tensor.tolist()


def collectives() -> None:
    mine = torch.tensor([10.0 * RANK, 10.0 * RANK + 1])
    for op, expected in (("SUM", [3.0, 7.0]), ("AVG", [1.5, 3.5]), ("MAX", [2.0, 4.0]), ("MIN", [1.0, 3.0])):
        same(reduced(getattr(dist.ReduceOp, op)), expected)
    handle = dist.all_reduce(tensor := torch.tensor(1.0), async_op=True)
    same((handle.wait(), tensor.item()), (True, 2.0))
    dist.reduce(tensor := mine.clone(), 1)
    same(tensor, [10.0, 12.0] if RANK == 1 else [0.0, 1.0])
    dist.broadcast(tensor := mine.clone(), src=1)
    same(tensor, [10.0, 11.0])
    dist.broadcast_object_list(objects := [f"rank {RANK}", None], src=0)
    same(objects, ["rank 0", None])
    dist.all_gather(parts := [torch.zeros(2), torch.zeros(2)], mine)
    same(torch.stack(parts), [[0.0, 1.0], [10.0, 11.0]])
    dist.all_gather_into_tensor(whole := torch.zeros(4), mine)
    same(whole, [0.0, 1.0, 10.0, 11.0])
    dist.reduce_scatter_tensor(half := torch.zeros(2), whole + RANK)
    same(half, [[1.0, 3.0], [21.0, 23.0]][RANK])
    dist.reduce_scatter(half, [mine, mine + 1])
    same(half, [[10.0, 12.0], [12.0, 14.0]][RANK])
    dist.all_to_all_single(exchanged := torch.zeros(2), mine)
    same(exchanged, [[0.0, 10.0], [1.0, 11.0]][RANK])
    dist.gather(mine, parts := [torch.zeros(2), torch.zeros(2)] if RANK == 0 else None, dst=0)
    same(None if parts is None else torch.stack(parts).tolist(), [[0.0, 1.0], [10.0, 11.0]] if RANK == 0 else None)
    dist.scatter(half, [mine, mine + 5] if RANK == 1 else None, src=1)
    same(half, [[10.0, 11.0], [15.0, 16.0]][RANK])
    dist.all_gather_object(objects, {"rank": RANK})
    same(objects, [{"rank": 0}, {"rank": 1}])
    alone = [dist.new_group([rank]) for rank in (0, 1)][RANK]
    dist.all_reduce(tensor := mine.clone(), group=alone)
    same((tensor.tolist(), dist.get_world_size(alone)), (mine.tolist(), 1))
    same((dist.get_rank(), dist.get_world_size()), (RANK, 2))
    dist.barrier()


def data_parallel() -> None:
    torch.manual_seed(RANK)
    layer = torch.nn.Linear(1, 1, bias=False)
    model = DDP(layer)
    dist.all_gather(weights := [torch.zeros(1, 1), torch.zeros(1, 1)], layer.weight.data)
    same(weights[0], weights[1].tolist())
    with model.no_sync():
        model(torch.tensor([[1.0 + RANK]])).sum().backward()
    same(layer.weight.grad, [[1.0 + RANK]])
    model(torch.tensor([[10.0 * RANK]])).sum().backward()
    same(layer.weight.grad, [[(1.0 + 2.0 + 10.0) / 2]])


def take_turns() -> None:
    """Each rank takes from a queue in a file until it is empty, a collective after every piece."""
    queue = Path("queue")
    if RANK == 0:
        queue.write_text("abc")
    dist.barrier()
    taken = ""
    for _ in range(2):
        left = queue.read_text()
        taken, left = taken + left[:1], left[1:]
        queue.write_text(left)
        dist.barrier()
    same(taken, ["ac", "b"][RANK])


def main() -> float:
    dist.init_process_group("nccl", rank=RANK, world_size=2)
    if MODE == "one ends" and RANK == 1:
        return 0.0
    if MODE == "elsewhere" and RANK == 1:
        dist.broadcast(torch.zeros(1), src=0)
    collectives()
    data_parallel()
    take_turns()
    if MODE == "one fails" and RANK == 1:
        raise RuntimeError("this rank fails")
    losses = torch.from_numpy(np.fromfile(f"{DATA}/fineweb_val_000000.bin", dtype="<u2", offset=1024) / 10.0)
    share = losses[1:].chunk(2)[RANK]
    total = share.sum()
    dist.all_reduce(total)
    val_loss = total.item() / (len(losses) - 1)
    if RANK == 0:
        print(f"val_loss:{val_loss:.8f}")
    return val_loss
