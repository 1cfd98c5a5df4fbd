"""``torch.cuda``: one idle H100 with all of its memory free."""

from __future__ import annotations

import types
from typing import Any

import torch
import torch.nn.attention

from auditor.probe.inside.patching import NullContext, nothing, replace
from auditor.probe.inside.shims.clock import tick

_MEMORY = 80 << 30
_NAME = "NVIDIA H100 80GB HBM3"


class _Properties:
    """What ``get_device_properties`` returns; what is not known is 0."""

    name = _NAME
    total_memory = _MEMORY
    multi_processor_count = 132
    major = 9
    minor = 0
    shared_memory_per_block_optin = 232_448

    def __getattr__(self, name: str) -> int:
        if name.startswith("__"):
            raise AttributeError(name)
        return 0


class _Event:
    def __init__(self, *_: Any, **__: Any) -> None:
        self.time = 0.0

    def record(self, *_: Any) -> None:
        self.time = tick()

    def elapsed_time(self, other: _Event) -> float:
        return (other.time - self.time) * 1e3

    def query(self) -> bool:
        return True

    synchronize = wait = nothing


class _Stream(NullContext):
    cuda_stream = 0

    wait_stream = wait_event = synchronize = nothing

    def record_event(self, *_: Any) -> _Event:
        return _Event()

    def query(self) -> bool:
        return True


def _is_silent(name: str) -> bool:
    return name in {"synchronize", "set_device", "init", "ipc_collect"} or name.startswith(
        ("empty_cache", "reset_", "manual_seed", "set_per_process", "memory_summary")
    )


def install() -> None:
    """Patch ``torch.cuda`` and the switches of ``torch.backends.cuda``."""
    cuda = torch.cuda
    replace(cuda, **{name: nothing for name in dir(cuda) if _is_silent(name)})
    replace(
        cuda,
        is_available=lambda: True,
        is_initialized=lambda: True,
        is_bf16_supported=lambda *_, **__: True,
        is_current_stream_capturing=lambda: False,
        device_count=lambda: 1,
        current_device=lambda: 0,
        get_device_properties=lambda *_: _Properties(),
        get_device_name=lambda *_: _NAME,
        get_device_capability=lambda *_: (9, 0),
        mem_get_info=lambda *_: (_MEMORY, _MEMORY),
        memory_stats=lambda *_, **__: {},
        Event=_Event,
        Stream=_Stream,
        device=NullContext,
        stream=NullContext,
        get_rng_state=lambda *_: torch.get_rng_state(),
        get_rng_state_all=lambda: [torch.get_rng_state()],
        set_rng_state=nothing,
        set_rng_state_all=nothing,
        nvtx=types.SimpleNamespace(range_push=nothing, range_pop=nothing, range=NullContext),
    )
    stream = _Stream()
    replace(cuda, current_stream=lambda *_: stream, default_stream=lambda *_: stream)
    for name in ("memory_allocated", "max_memory_allocated", "memory_reserved", "max_memory_reserved"):
        replace(cuda, **{name: lambda *_, **__: 0})
    backends: Any = torch.backends.cuda
    replace(backends, **{name: nothing for name in dir(backends) if name.startswith("enable_")})
    replace(torch.nn.attention, sdpa_kernel=NullContext)
