"""AWQ-lite: a few aligned groups of columns of a quantised matrix that have a finer scale of their own.

Format, beside ``NAME.q`` and ``NAME.scale`` of a ``{w, m}`` dictionary: ``NAME.awqg_start`` integers ``(groups,)``,
first columns; ``NAME.awqg_size`` one integer, columns per group; ``NAME.awqg_s_hi`` fp16 ``(rows,)``. The columns of a
group are ``q * s_hi[row]`` in place of ``q * scale[row]`` (#1908, #2140).
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from evaluator.artifact.numerics import Array, Float32, dequantise
from evaluator.artifact.tables import take
from evaluator.refusal import Refused

START: Final = ".awqg_start"
SIZE: Final = ".awqg_size"
SCALE: Final = ".awqg_s_hi"


@dataclass(frozen=True, slots=True, eq=False)
class ColumnGroups:
    """Columns ``start .. start + size`` for each start have ``scale`` per row, and codes of ``bits`` bits."""

    starts: tuple[int, ...]
    size: int
    scale: npt.NDArray[np.float16]
    bits: int = 8

    def stored(self, name: str) -> dict[str, Array]:
        """The entries of the matrix ``name``."""
        return {
            f"{name}{START}": np.array(self.starts, np.int16),
            f"{name}{SIZE}": np.array(self.size, np.int16),
            f"{name}{SCALE}": self.scale,
        }


def overwrite(name: str, weight: Float32, codes: Array, stored: MutableMapping[str, Array]) -> None:
    """Overwrite the groups' columns in ``weight``, taking their entries out of ``stored``.

    Raises:
        Refused: ``missing-key``, ``wrong-groups`` or what dequantisation refuses.
    """
    starts = _integers(name, take(stored, f"{name}{START}", "missing-key"))
    sizes = _integers(name, take(stored, f"{name}{SIZE}", "missing-key"))
    scale = take(stored, f"{name}{SCALE}", "missing-key")
    columns = weight.shape[1] if weight.ndim == 2 else 0
    if len(sizes) != 1 or sizes[0] < 1 or len(starts) > columns:
        raise Refused("wrong-groups", f"the column groups of {name!r} ({weight.shape}) have sizes {sizes[:4]}")
    for start in starts:
        if not 0 <= start <= columns - sizes[0]:
            raise Refused("wrong-groups", f"{name!r} of {columns} columns has a group at {start} + {sizes[0]}")
        part = slice(start, start + sizes[0])
        weight[:, part] = dequantise(name, codes[:, part], scale)


def _integers(name: str, values: Array) -> list[int]:
    if values.dtype.kind not in "iu" or values.ndim > 1:
        raise Refused("wrong-groups", f"the column groups of {name!r} are given by {values.dtype} numbers")
    return [int(value) for value in values.reshape(-1)]
