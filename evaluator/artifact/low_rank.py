"""LQER: a low-rank correction ``A B`` added to a quantised matrix, its factors quantised themselves.

Format, beside ``NAME.q`` and ``NAME.scale`` of a ``{w, m}`` dictionary, A ``(rows, r)`` and B ``(r, cols)`` as int8:

* asymmetric (``lqer_asym``): ``NAME.lqA_a`` with one scale ``NAME.lqAs_a``; ``NAME.lqB_a`` with ``NAME.lqBs_a``, one
  scale per run of ``numel(B) / numel(scales)`` elements of the flattened B;
* symmetric (``lqer``): ``NAME.lqA``, ``NAME.lqB`` with scales per row ``NAME.lqAs``, ``NAME.lqBs``.

It comes last: after the row scales, and after the column groups of AWQ-lite (#1797, #1851, #2140).
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluator.artifact.numerics import Array, Float32, dequantise
from evaluator.artifact.tables import take
from evaluator.refusal import Refused


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """Quantised factors of a correction.

    Attributes:
        left, right: int8 ``(rows, r)`` and ``(r, cols)``.
        left_scale, right_scale: fp16; ``()`` and ``(groups,)`` if asymmetric, else ``(rows,)`` and ``(r,)``.
        asymmetric: which of the two forms.
    """

    left: npt.NDArray[np.int8]
    left_scale: npt.NDArray[np.float16]
    right: npt.NDArray[np.int8]
    right_scale: npt.NDArray[np.float16]
    asymmetric: bool = True

    def stored(self, name: str) -> dict[str, Array]:
        """The entries of the matrix ``name``."""
        end = "_a" if self.asymmetric else ""
        return {
            f"{name}.lqA{end}": self.left,
            f"{name}.lqAs{end}": self.left_scale,
            f"{name}.lqB{end}": self.right,
            f"{name}.lqBs{end}": self.right_scale,
        }


def add(name: str, weight: Float32, stored: MutableMapping[str, Array], *, asymmetric: bool) -> Float32:
    """``weight + A B``, taking the factors' entries out of ``stored``.

    The product is torch's, because the systems' own loaders use it and the last bit depends on who multiplies.

    Raises:
        Refused: ``missing-key``, ``wrong-factors`` or what dequantisation refuses.
    """
    import torch

    end = "_a" if asymmetric else ""
    left, left_scale, right, right_scale = (
        take(stored, f"{name}.lq{part}{end}", "missing-key") for part in ("A", "As", "B", "Bs")
    )
    if not (left.ndim == right.ndim == 2 and left.shape[1] == right.shape[0] > 0) or (
        weight.shape != (left.shape[0], right.shape[1])
    ):
        raise Refused(
            "wrong-factors", f"{name!r} {list(weight.shape)} has factors {list(left.shape)} and {list(right.shape)}"
        )
    if asymmetric:
        if left_scale.size != 1 or right_scale.size < 1 or right.size % right_scale.size:
            raise Refused("wrong-factors", f"{name!r} has {right.size} codes in {right_scale.size} groups")
        grouped = right.reshape(right_scale.size, -1)
        b = dequantise(name, grouped, right_scale.reshape(-1)).reshape(right.shape)
    else:
        b = dequantise(name, right, right_scale)
    a = dequantise(name, left, left_scale)
    delta: Float32 = torch.matmul(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    with np.errstate(over="ignore", invalid="ignore"):  # infinity is refused where all tensors are checked
        return weight + delta
