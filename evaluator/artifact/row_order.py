"""Rows of codes in an order that compresses well, and back.

The contest's per-group containers put similar rows side by side (greedily, by the L1 distance) and then store the
transposed matrix, so that one column's codes lie together.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaluator.refusal import Refused

Codes = npt.NDArray[np.int8]
Order = npt.NDArray[np.uint16]


def similar_rows(codes: Codes) -> Order:
    """An order of the rows: the first one, then always the nearest unused, the first of equals.

    Takes rows^2 * columns steps. Rows fit 16 bits: at most 65,536.
    """
    left = list(range(1, len(codes)))
    order = [0] if len(codes) else []
    wide = codes.astype(np.int16)
    while left:
        distances = np.abs(wide[left] - wide[order[-1]]).sum(axis=1, dtype=np.int64)
        order.append(left.pop(int(distances.argmin())))
    return np.array(order, np.uint16)


def store(codes: Codes, order: Order | None) -> bytes:
    """The bytes of ``codes`` with its rows in ``order``, transposed."""
    return np.ascontiguousarray((codes if order is None else codes[order]).T).tobytes()


def restore(name: str, data: bytes, rows: int, columns: int, order: Order | None) -> Codes:
    """Undo :func:`store`: int8 ``(rows, columns)``.

    Raises:
        Refused: ``bad-permutation``: ``order`` does not name every row once.
    """
    stored = np.frombuffer(data, np.int8).reshape(columns, rows).T
    if order is None:
        return np.ascontiguousarray(stored)
    if not np.array_equal(np.sort(order), np.arange(rows)):
        raise Refused("bad-permutation", f"the row order of {name!r} does not name each of {rows} rows once")
    codes = np.empty((rows, columns), np.int8)
    codes[order] = stored
    return codes
