"""``torch.compile`` is the identity; operators in C++ that were not built are declared in vain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo
import torch.library

from auditor.probe.inside.patching import nothing, replace


def _compile(model: Any = None, **_: Any) -> Any:
    return (lambda function: function) if model is None else model


def _compile_off(function: Any = None, *_: Any, **__: Any) -> Any:
    return (lambda inner: inner) if function is None else function


def _tolerant(register: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of ``torch.library`` that lets an operator without an implementation pass."""

    def tolerant(*arguments: Any, **named: Any) -> Any:
        try:
            made = register(*arguments, **named)
        except (RuntimeError, ValueError):
            return lambda function: function
        if not callable(made):
            return made

        def decorate(function: Any) -> Any:
            try:
                return made(function)
            except (RuntimeError, ValueError):
                return function

        return decorate

    return tolerant


def install() -> None:
    """Patch the compiler's entry points and ``torch.library``."""
    replace(torch, compile=_compile)
    replace(torch.compiler, disable=_compile_off, allow_in_graph=_compile_off, reset=nothing)
    replace(torch.compiler, cudagraph_mark_step_begin=nothing, is_compiling=lambda: False)
    for name in ("impl", "register_fake", "register_autograd", "register_kernel", "impl_abstract"):
        if hasattr(torch.library, name):
            replace(torch.library, **{name: _tolerant(getattr(torch.library, name))})
    replace(torch._dynamo, reset=nothing, disable=_compile_off)
