"""The decorator of every loop of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(loop: Callable[P, R]) -> Callable[P, R]:
    """``loop`` as machine code without the interpreter's lock, kept on disk where there is a place for it.

    A user without a home who runs a read-only installation, as in many containers, compiles in each process.
    """
    try:
        made: Callable[P, R] = numba.njit(nogil=True, cache=True)(loop)
    except RuntimeError:  # numba's word for "no place to keep it"
        made = numba.njit(nogil=True)(loop)
    return made
