"""AWQ-lite: the columns that matter most get a finer scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from reference_model.quant.rows import Quantised


@dataclass(frozen=True, slots=True)
class Grouped:
    """A quantised matrix with aligned groups of columns of a finer scale.

    Attributes:
        base: codes of all columns, and the scale of those outside the groups.
        starts: first columns of the groups.
        size: columns per group.
        scale: float16 [rows], of the groups.
    """

    base: Quantised
    starts: tuple[int, ...]
    size: int
    scale: Tensor

    def dequantise(self) -> Tensor:
        """Float32 [rows, cols]."""
        weight = self.base.dequantise()
        for start in self.starts:
            part = slice(start, start + self.size)
            weight[:, part] = self.base.q[:, part].float() * self.scale.float()[:, None]
        return weight


def salient_groups(
    weights: Mapping[str, Tensor], activations: Mapping[str, Tensor], size: int = 64, top: int = 1
) -> dict[str, tuple[int, ...]]:
    """First columns of the ``top`` most salient groups over all matrices, by name of the matrix (#2140).

    The salience of an aligned group is ``sum_j a_j mean_i |w_ij|`` over its columns j.

    Args:
        weights: matrices [rows, cols] that compete.
        activations: root mean square a of each input channel, [cols], by the same names.
        size: columns per group.
        top: how many groups.
    """
    scored: list[tuple[float, str, int]] = []
    for name, weight in weights.items():
        salience = activations[name].float() * weight.detach().float().abs().mean(dim=0)
        whole = salience.numel() // size * size
        sums = salience[:whole].reshape(-1, size).sum(dim=1).tolist()
        scored += [(score, name, size * index) for index, score in enumerate(sums)]
    chosen: dict[str, tuple[int, ...]] = {}
    for _, name, start in sorted(scored, key=lambda entry: -entry[0])[:top]:
        chosen[name] = (*chosen.get(name, ()), start)
    return chosen


def group_columns(starts: tuple[int, ...], size: int, columns: int) -> Tensor:
    """Which of ``columns`` columns lie in a group; boolean [columns].

    Raises:
        ValueError: a group reaches past the last column.
    """
    inside = torch.zeros(columns, dtype=torch.bool)
    for start in starts:
        if not 0 <= start <= columns - size:
            raise ValueError(f"a group of {size} columns at {start} is not within {columns}")
        inside[start : start + size] = True
    return inside
