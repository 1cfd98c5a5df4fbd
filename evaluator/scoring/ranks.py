"""The processes of one evaluation, and the only two ways in which they exchange numbers.

Both give the same bits for any number of processes, which ``all_reduce`` of partial sums does not (measured: gloo gave
other bits for 1, 2 and 4 ranks).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among ``size``; its device."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    def join(cls) -> Ranks:
        """Join the group that torchrun describes in the environment: NCCL on GPUs, gloo on CPU; alone without one."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        cuda = torch.cuda.is_available()
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(device)
        if size > 1:
            # torchrun ends the run when a rank dies; this is for a machine that vanishes. It must be longer than
            # what the others wait for rank 0, which alone counts the mixer's statistics.
            dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(minutes=5))
        return cls(int(os.environ.get("RANK", "0")), size, device)

    def leave(self) -> None:
        """Leave the group."""
        if self.size > 1:
            dist.destroy_process_group()

    def devices(self) -> list[str]:
        """Name of each rank's device, as the driver gives it."""
        own = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "cpu"
        if self.size == 1:
            return [own]
        names: list[str] = [""] * self.size
        dist.all_gather_object(names, own)
        return names

    def mine(self, count: int) -> range:
        """Which of ``count`` numbered pieces of work this rank does: every ``size``-th."""
        return range(self.rank, count, self.size)

    def merge(self, buffer: torch.Tensor) -> None:
        """Complete ``buffer`` in place on every rank; each entry is non-zero on at most one rank, which made it.

        A sum of one number and zeros is that number, whatever the order.
        """
        if self.size > 1:
            dist.all_reduce(buffer)

    def share(self, buffer: torch.Tensor) -> None:
        """Copy rank 0's ``buffer`` to all, in place."""
        if self.size > 1:
            dist.broadcast(buffer, 0)

    def ordered_sum(self, terms: Sequence[torch.Tensor], count: int) -> torch.Tensor:
        """Sum of ``count`` terms in the order of their numbers, on every rank.

        Args:
            terms: this rank's terms, in the order of :meth:`mine`; each float32 of one shape ``(n,)``.
            count: how many terms all ranks have together, at least one.

        Each rank adds up one slice of all terms, in order, and the slices are put together: twice the traffic of an
        all-reduce at most, and the bits of a single process.
        """
        if self.size == 1:
            total = terms[0].clone()
            for term in terms[1:]:
                total += term
            return total
        rounds = -(-count // self.size)
        n = _length(terms, self.device)
        part = -(-n // self.size)
        outgoing = torch.zeros(rounds, self.size * part, device=self.device)
        for k, term in enumerate(terms):
            outgoing[k, :n] = term
        # (rounds, destination, part) -> (destination, rounds, part): each rank receives its slice of every term.
        outgoing = outgoing.view(rounds, self.size, part).transpose(0, 1).contiguous()
        incoming = torch.empty_like(outgoing)
        dist.all_to_all_single(incoming, outgoing)
        # incoming[source, round] is the slice of term number round * size + source.
        total = incoming[0, 0].clone()
        for number in range(1, count):
            total += incoming[number % self.size, number // self.size]
        whole = torch.empty(self.size, part, device=self.device)
        dist.all_gather(list(whole.unbind(0)), total)
        return whole.view(-1)[:n]


def _length(terms: Sequence[torch.Tensor], device: torch.device) -> int:
    """Length of a term; a rank without any (more ranks than terms) learns it from the others."""
    length = torch.tensor([len(terms[0]) if terms else 0], device=device)
    dist.all_reduce(length, op=dist.ReduceOp.MAX)
    return int(length.item())
