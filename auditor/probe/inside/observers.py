"""Which torch functions the tap records, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it

from auditor.probe.inside.tap import MOST_ELEMENTS, TAP, observer


def _values(tensor: torch.Tensor) -> npt.NDArray[np.float64]:
    return tensor.detach().to(torch.float64).numpy()


@observer
def _reduction(tensor: Any = None, *_: Any, **named: Any) -> None:
    tensor = named.get("input") if tensor is None else tensor
    if isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and 0 < tensor.numel() <= MOST_ELEMENTS:
        TAP.event("sum", _values(tensor))


def _loss(function: Callable[..., torch.Tensor]) -> Callable[..., None]:
    @observer
    def record(*arguments: Any, **named: Any) -> None:
        kept = {name: value for name, value in named.items() if name not in {"size_average", "reduce"}}
        with torch.no_grad():
            losses = function(*arguments[:3], **kept | {"reduction": "none"})
        if 0 < losses.numel() <= MOST_ELEMENTS:
            TAP.event("cross-entropy", _values(losses))

    return record


@observer
def _addition(total: Any = None, term: Any = None, *_: Any, **__: Any) -> None:
    if isinstance(total, torch.Tensor) and total.dim() == 0 and total.dtype == torch.float64:
        TAP.event("accumulate", _values(term) if isinstance(term, torch.Tensor) else np.array([float(term)]))


_SUMS = (torch.sum, torch.Tensor.sum, torch.mean, torch.Tensor.mean)
_ADDITIONS = (
    torch.add,
    torch.Tensor.add,
    torch.Tensor.add_,
    torch.Tensor.__add__,
    torch.Tensor.__radd__,
    torch.Tensor.__iadd__,
)

OBSERVERS: Mapping[Any, Callable[..., None]] = {
    **dict.fromkeys(_SUMS, _reduction),
    **dict.fromkeys(_ADDITIONS, _addition),
    F.cross_entropy: _loss(F.cross_entropy),
    F.nll_loss: _loss(F.nll_loss),
}
"""Recorders by the function they look at."""
