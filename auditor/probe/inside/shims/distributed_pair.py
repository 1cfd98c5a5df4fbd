"""``torch.distributed`` with two ranks that take turns; a run's processes put it over the stand-in of one rank."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.parallel

from auditor.probe.inside.pair import Peer
from auditor.probe.inside.patching import replace
from auditor.probe.inside.shims.distributed import DataParallel, finished

_BOTH = (0, 1)


@dataclass(frozen=True)
class _Group:
    """A process group."""

    ranks: tuple[int, ...]


def _combined(given: Sequence[torch.Tensor], op: Any) -> torch.Tensor:
    """What the ranks gave, reduced."""
    stacked = torch.stack(tuple(given))
    if op == dist.ReduceOp.SUM:
        return stacked.sum(0)
    if op == dist.ReduceOp.AVG:
        return stacked.sum(0) / len(given)
    if op == dist.ReduceOp.MAX:
        return stacked.amax(0)
    if op == dist.ReduceOp.MIN:
        return stacked.amin(0)
    if op == dist.ReduceOp.PRODUCT:
        return stacked.prod(0)
    raise NotImplementedError(f"reduction {op}")


class _Collectives:
    """The functions of ``torch.distributed``, for one of the ranks; their arguments are torch's."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def _meet(self, what: str, value: Any, group: Any) -> list[Any]:
        """What the group's ranks give; a group of one rank does not wait for the other."""
        return self._peer.exchange(what, value) if self._ranks(group) == _BOTH else [value]

    def _meet_tensor(self, what: str, tensor: torch.Tensor, group: Any) -> list[torch.Tensor]:
        return self._meet(what, tensor.detach().clone(), group)

    def _ranks(self, group: Any) -> tuple[int, ...]:
        return group.ranks if isinstance(group, _Group) else _BOTH

    def _place(self, group: Any) -> int:
        """This rank's number in the group."""
        ranks = self._ranks(group)
        return ranks.index(self._peer.rank) if self._peer.rank in ranks else -1

    def new_group(self, ranks: Sequence[int] | None = None, *_: Any, **__: Any) -> _Group:
        return _Group(_BOTH if ranks is None else tuple(sorted(ranks)))

    def get_rank(self, group: Any = None) -> int:
        return self._place(group)

    def get_world_size(self, group: Any = None) -> int:
        return len(self._ranks(group))

    def get_global_rank(self, group: Any, group_rank: int) -> int:
        return self._ranks(group)[group_rank]

    def get_process_group_ranks(self, group: Any = None) -> list[int]:
        return list(self._ranks(group))

    def barrier(self, group: Any = None, async_op: bool = False, **_: Any) -> Any:
        self._meet("barrier", None, group)
        return finished(async_op)

    def all_reduce(
        self, tensor: torch.Tensor, op: Any = dist.ReduceOp.SUM, group: Any = None, async_op: bool = False
    ) -> Any:
        _fill(tensor, _combined(self._meet_tensor("all_reduce", tensor, group), op))
        return finished(async_op, tensor)

    def reduce(
        self, tensor: torch.Tensor, dst: int = 0, op: Any = dist.ReduceOp.SUM, group: Any = None, async_op: bool = False
    ) -> Any:
        given = self._meet_tensor("reduce", tensor, group)
        if self._peer.rank == dst:
            _fill(tensor, _combined(given, op))
        return finished(async_op, tensor)

    def broadcast(self, tensor: torch.Tensor, src: int = 0, group: Any = None, async_op: bool = False) -> Any:
        given = self._meet_tensor("broadcast", tensor, group)
        _fill(tensor, given[self._ranks(group).index(src)])
        return finished(async_op, tensor)

    def broadcast_object_list(self, objects: list[Any], src: int = 0, group: Any = None, *_: Any, **__: Any) -> None:
        given = self._meet("broadcast_object_list", list(objects), group)
        objects[:] = given[self._ranks(group).index(src)]

    def all_gather(
        self, outputs: list[torch.Tensor], tensor: torch.Tensor, group: Any = None, async_op: bool = False
    ) -> Any:
        for output, each in zip(outputs, self._meet_tensor("all_gather", tensor, group), strict=False):
            _fill(output, each)
        return finished(async_op, outputs)

    def all_gather_into_tensor(
        self, output: torch.Tensor, tensor: torch.Tensor, group: Any = None, async_op: bool = False
    ) -> Any:
        given = self._meet_tensor("all_gather_into_tensor", tensor, group)
        _fill(output, torch.cat([each.reshape(-1) for each in given]))
        return finished(async_op, output)

    def reduce_scatter(
        self,
        output: torch.Tensor,
        inputs: list[torch.Tensor],
        op: Any = dist.ReduceOp.SUM,
        group: Any = None,
        async_op: bool = False,
    ) -> Any:
        given = self._meet("reduce_scatter", [each.detach().clone() for each in inputs], group)
        place = self._place(group)
        _fill(output, _combined([each[place] for each in given], op))
        return finished(async_op, output)

    def reduce_scatter_tensor(
        self,
        output: torch.Tensor,
        tensor: torch.Tensor,
        op: Any = dist.ReduceOp.SUM,
        group: Any = None,
        async_op: bool = False,
    ) -> Any:
        whole = _combined(self._meet_tensor("reduce_scatter_tensor", tensor, group), op).reshape(-1)
        _fill(output, whole.chunk(len(self._ranks(group)))[self._place(group)])
        return finished(async_op, output)

    def all_to_all_single(
        self,
        output: torch.Tensor,
        tensor: torch.Tensor,
        output_split_sizes: list[int] | None = None,
        input_split_sizes: list[int] | None = None,
        group: Any = None,
        async_op: bool = False,
    ) -> Any:
        size = len(self._ranks(group))
        parts = torch.split(tensor.detach().clone(), input_split_sizes or tensor.shape[0] // size)
        given = self._meet("all_to_all_single", list(parts), group)
        _fill(output, torch.cat([each[self._place(group)] for each in given]))
        return finished(async_op, output)

    def gather(
        self,
        tensor: torch.Tensor,
        gather_list: list[torch.Tensor] | None = None,
        dst: int = 0,
        group: Any = None,
        async_op: bool = False,
    ) -> Any:
        given = self._meet_tensor("gather", tensor, group)
        if self._peer.rank == dst:
            for output, each in zip(gather_list or (), given, strict=False):
                _fill(output, each)
        return finished(async_op, gather_list)

    def scatter(
        self,
        tensor: torch.Tensor,
        scatter_list: list[torch.Tensor] | None = None,
        src: int = 0,
        group: Any = None,
        async_op: bool = False,
    ) -> Any:
        given = self._meet("scatter", [each.detach().clone() for each in scatter_list or ()], group)
        _fill(tensor, given[self._ranks(group).index(src)][self._place(group)])
        return finished(async_op, tensor)

    def all_gather_object(self, outputs: list[Any], value: Any, group: Any = None) -> None:
        given = self._meet("all_gather_object", value, group)
        outputs[: len(given)] = given

    def gather_object(
        self, value: Any, outputs: list[Any] | None = None, dst: int = 0, group: Any = None, *_: Any, **__: Any
    ) -> None:
        given = self._meet("gather_object", value, group)
        if self._peer.rank == dst and outputs is not None:
            outputs[: len(given)] = given


def _fill(output: torch.Tensor, values: torch.Tensor) -> None:
    """Put numbers where a collective leaves its result; no gradient goes through one."""
    with torch.no_grad():
        output.copy_(values.reshape(output.shape))


def _averaging(all_reduce: Callable[..., Any]) -> type[DataParallel]:
    """DistributedDataParallel of two ranks: weights from the first, gradients averaged as they are accumulated."""

    class Averaging(DataParallel):
        def __init__(self, module: torch.nn.Module, *_: Any, **__: Any) -> None:
            super().__init__(module)
            for state in (*module.parameters(), *module.buffers()):
                dist.broadcast(state, 0)
            for parameter in module.parameters():
                if parameter.requires_grad:
                    parameter.register_post_accumulate_grad_hook(self._average)  # type: ignore[no-untyped-call]  # torch's

        @contextmanager
        def no_sync(self) -> Iterator[None]:
            before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
            try:
                yield
            finally:
                self.require_backward_grad_sync = before

        def _average(self, parameter: torch.Tensor) -> None:
            if self.require_backward_grad_sync:
                all_reduce(parameter.grad, dist.ReduceOp.AVG)

    return Averaging


def install(peer: Peer) -> None:
    """Patch ``torch.distributed`` and DistributedDataParallel for this rank."""
    collectives = _Collectives(peer)
    names = [name for name in vars(_Collectives) if not name.startswith("_")]
    replace(dist, **{name: getattr(collectives, name) for name in names}, monitored_barrier=collectives.barrier)
    data_parallel = _averaging(collectives.all_reduce)
    replace(torch.nn.parallel, DistributedDataParallel=data_parallel)
    replace(torch.nn.parallel.distributed, DistributedDataParallel=data_parallel)
