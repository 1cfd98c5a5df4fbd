"""Cut files and flipped bits: what is damaged is refused, or gives finite tensors."""

from __future__ import annotations

import numpy as np
import pytest

from evaluator.artifact import DecodeLimits
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.refusal import Refused

LIMITS = DecodeLimits()


def assert_cuts_are_refused(data: bytes, start: int, step: int) -> None:
    """No beginning of ``data`` of ``start`` bytes, ``start + step`` bytes, ... is an artifact."""
    for end in range(start, len(data), step):
        with pytest.raises(Refused):
            decode_bytes(data[:end], LIMITS)


def flip_bits(data: bytes, start: int, count: int, seed: int) -> int:
    """Flip a bit of ``data`` at ``count`` places from ``start`` on, one at a time; how many were refused.

    Raises:
        AssertionError: one was not, and gave values that are not finite.
    """
    rng = np.random.default_rng(seed)
    refused = 0
    for position in rng.integers(start, len(data), count):
        damaged = bytearray(data)
        damaged[position] ^= 1 << int(rng.integers(8))
        try:
            _, tensors = decode_bytes(bytes(damaged), LIMITS)
        except Refused:
            refused += 1
        else:
            assert all(np.isfinite(array).all() for array in tensors.values())
    return refused
