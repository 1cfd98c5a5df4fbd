"""Devices: every CUDA device is the CPU, and tensors say that they are on CUDA to the submission alone."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch

from auditor.probe.inside.frames import is_submitted
from auditor.probe.inside.patching import nothing, replace

RealDevice = torch.device
CPU = RealDevice("cpu")
_MOVABLE = (str, RealDevice)
_IS_CUDA: Any = torch._C.TensorBase.is_cuda


class _DeviceType(type):
    """Calls make real devices, ``isinstance`` tests for them."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, RealDevice)

    def __call__(cls, *arguments: Any, **named: Any) -> torch.device:
        kind = arguments[0] if arguments else named.get("type", "cpu")
        kind = kind.type if isinstance(kind, RealDevice) else kind
        return RealDevice("meta") if isinstance(kind, str) and kind.startswith("meta") else CPU


class Device(metaclass=_DeviceType):
    """Stands in for ``torch.device``, whose instances cannot be made for CUDA here."""


def moved(value: Any) -> Any:
    """An argument with CUDA replaced by the CPU."""
    if isinstance(value, str):
        return "cpu" if value.startswith("cuda") else value
    return CPU if isinstance(value, RealDevice) and value.type == "cuda" else value


def rewrite_arguments(
    arguments: tuple[Any, ...], named: Mapping[str, Any]
) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Arguments of a torch function, without CUDA and without pinned memory."""
    for value in arguments:  # every torch call comes by here: a generator would take as long as the call
        if isinstance(value, _MOVABLE):
            arguments = tuple(map(moved, arguments))
            break
    if not named:
        return arguments, named
    if "device" in named or named.get("pin_memory"):
        named = {**named, "pin_memory": False} if "pin_memory" in named else dict(named)
        if "device" in named:
            named["device"] = moved(named["device"])
    return arguments, named


def _itself(value: Any, *_: Any, **__: Any) -> Any:
    return value


_claimed = True


def claim_cuda(claimed: bool) -> None:
    """Whether tensors tell the submission that they are on CUDA; some scripts then use kernels that only a GPU runs."""
    global _claimed  # noqa: PLW0603 - read by a property of every tensor
    _claimed = claimed


def _is_cuda(tensor: torch.Tensor) -> bool:
    # Libraries must not take CUDA branches; kernels' wrappers in the submission assert that they may.
    return (_claimed and is_submitted(sys._getframe(1).f_code.co_filename)) or bool(_IS_CUDA.__get__(tensor))


def install() -> None:
    """Patch ``torch.device`` and the methods of tensors and modules that move to a device."""
    replace(torch, device=Device)
    replace(
        torch.Tensor,
        cuda=_itself,
        pin_memory=_itself,
        is_pinned=lambda *_, **__: False,
        record_stream=nothing,
        is_cuda=property(_is_cuda),
    )
    replace(torch.nn.Module, cuda=_itself)
