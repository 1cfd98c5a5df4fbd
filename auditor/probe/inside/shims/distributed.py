"""``torch.distributed`` with one rank: collectives hand back what they were given."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.parallel

from auditor.probe.inside.patching import replace

_initialized = False


class _Work:
    """A collective that has finished."""

    def __init__(self, value: Any = None) -> None:
        self._value = value

    def wait(self, *_: Any) -> bool:
        return True

    def is_completed(self) -> bool:
        return True

    def get_future(self) -> _Work:
        return self

    def value(self) -> Any:
        return [self._value]


class DataParallel(torch.nn.Module):
    """DistributedDataParallel of one rank: like the real one it does not forward attributes.

    Attributes:
        require_backward_grad_sync: what ``no_sync`` turns off.
    """

    def __init__(self, module: torch.nn.Module, *_: Any, **__: Any) -> None:
        super().__init__()
        self.module = module
        self.require_backward_grad_sync = True

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """Call the module."""
        return self.module(*arguments, **named)

    def no_sync(self) -> AbstractContextManager[None]:
        """Accumulate gradients of this rank alone."""
        return nullcontext()


def _initialize(*_: Any, **__: Any) -> None:
    global _initialized  # noqa: PLW0603 - as the module it stands in for
    _initialized = True


def _destroy(*_: Any, **__: Any) -> None:
    global _initialized  # noqa: PLW0603
    _initialized = False


def finished(async_op: Any, value: Any = None) -> _Work | None:
    """What a collective returns: a handle where it was asked to go on behind the call."""
    return _Work(value) if async_op else None


def _in_place(value: Any = None, *_: Any, **named: Any) -> _Work | None:
    return finished(named.get("async_op"), value)


def _to_flat(output: torch.Tensor, source: torch.Tensor, *_: Any, **named: Any) -> _Work | None:
    if output.data_ptr() != source.data_ptr():
        output.copy_(source.reshape(output.shape))
    return finished(named.get("async_op"), output)


def _to_list(outputs: list[torch.Tensor], source: torch.Tensor, *_: Any, **named: Any) -> _Work | None:
    outputs[0].copy_(source)
    return finished(named.get("async_op"), outputs)


def _from_list(output: torch.Tensor, sources: list[torch.Tensor], *_: Any, **named: Any) -> _Work | None:
    output.copy_(sources[0])
    return finished(named.get("async_op"), output)


def _gather(source: torch.Tensor, outputs: list[torch.Tensor] | None = None, *_: Any, **named: Any) -> _Work | None:
    if outputs:
        outputs[0].copy_(source)
    return finished(named.get("async_op"), outputs)


def _gather_object(outputs: list[Any], value: Any, *_: Any, **__: Any) -> None:
    outputs[0] = value


def _gather_object_to(value: Any, outputs: list[Any] | None = None, *_: Any, **__: Any) -> None:
    if outputs:
        outputs[0] = value


def install() -> None:
    """Patch ``torch.distributed`` and DistributedDataParallel."""
    replace(dist, **dict.fromkeys(("all_reduce", "broadcast", "reduce", "barrier", "monitored_barrier"), _in_place))
    replace(dist, broadcast_object_list=_in_place, new_group=_in_place)
    replace(
        dist,
        init_process_group=_initialize,
        destroy_process_group=_destroy,
        is_initialized=lambda: _initialized,
        is_available=lambda: True,
        get_rank=lambda *_: 0,
        get_world_size=lambda *_: 1,
        get_backend=lambda *_: "nccl",
        get_global_rank=lambda *_: 0,
        get_process_group_ranks=lambda *_: [0],
        all_gather=_to_list,
        all_gather_into_tensor=_to_flat,
        reduce_scatter=_from_list,
        reduce_scatter_tensor=_to_flat,
        all_to_all_single=_to_flat,
        gather=_gather,
        scatter=_from_list,
        all_gather_object=_gather_object,
        gather_object=_gather_object_to,
    )
    replace(torch.nn.parallel, DistributedDataParallel=DataParallel)
    replace(torch.nn.parallel.distributed, DistributedDataParallel=DataParallel)
