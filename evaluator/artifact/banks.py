"""Banked models: all matrices of one kind in one tensor, which the optimiser likes and other tools do not.

``qo_bank`` ``(2L, D, D)`` and ``kv_bank`` ``(2L, kv, D)`` hold the queries (keys) of blocks 0..L-1, then their output
projections (values); ``mlp_up_bank`` ``(L, F, D)`` and ``mlp_down_bank`` ``(L, D, F)`` the feed-forward layers (#549
and its descendants). Artifacts are exported unbanked; checkpoints are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from evaluator.artifact.numerics import Float32
from evaluator.refusal import Refused

_BANKS: Final = {
    "qo_bank": ("attn.c_q.weight", "attn.proj.weight"),
    "kv_bank": ("attn.c_k.weight", "attn.c_v.weight"),
    "mlp_up_bank": ("mlp.fc.weight",),
    "mlp_down_bank": ("mlp.proj.weight",),
}


def unbank(tensors: Mapping[str, Float32]) -> dict[str, Float32]:
    """``tensors`` with each bank as the matrices of its blocks; a prefix before the bank's name is kept.

    Raises:
        Refused: ``wrong-shape``: a bank is no stack of so many matrices; ``duplicate-tensor``.
    """
    flat: dict[str, Float32] = {}
    for name, values in tensors.items():
        prefix, dot, last = name.rpartition(".")
        kinds = _BANKS.get(last)
        if kinds is None:
            parts = {name: values}
        elif values.ndim != 3 or len(values) % len(kinds):
            raise Refused("wrong-shape", f"the bank {name!r} has shape {list(values.shape)}")
        else:
            layers = len(values) // len(kinds)
            parts = {
                f"{prefix}{dot}blocks.{index}.{kind}": values[half * layers + index]
                for half, kind in enumerate(kinds)
                for index in range(layers)
            }
        if both := sorted(flat.keys() & parts.keys()):
            raise Refused("duplicate-tensor", f"{both[0]!r} is stored in a bank and beside it")
        flat |= parts
    return flat


def bank(tensors: Mapping[str, Float32]) -> dict[str, Float32]:
    """The inverse of :func:`unbank`, for models whose blocks are all alike."""
    rest = dict(tensors)
    banks: dict[str, Float32] = {}
    for name, kinds in _BANKS.items():
        stack = []
        for kind in kinds:
            index = 0
            while f"blocks.{index}.{kind}" in rest:
                stack.append(rest.pop(f"blocks.{index}.{kind}"))
                index += 1
        if stack:
            banks[name] = np.stack(stack)
    return banks | rest
