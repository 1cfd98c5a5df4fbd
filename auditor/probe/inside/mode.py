"""One hook under every torch call of the submission: devices are rewritten, reductions are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

from auditor.probe.inside.observers import OBSERVERS
from auditor.probe.inside.shims.device import rewrite_arguments


class Interception(TorchFunctionMode):
    """Enter it once per thread, for as long as the submission's code runs there."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func`` on the CPU, and show the tap what went in."""
        args, kwargs = rewrite_arguments(args, kwargs or {})
        observe = OBSERVERS.get(func)
        if observe is not None:
            observe(*args, **kwargs)
        return func(*args, **kwargs)
