"""rANS (Duda 2013): bytes by their frequencies, at a fraction of a bit over their entropy.

State of 32 bits, renormalised byte by byte at 2^23, frequencies out of 2^16. The encoder goes through the symbols
backwards, so the decoder reads its bytes from the end: first the state, most significant byte first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from evaluator.refusal import Refused

_BITS: Final = 16
TOTAL: Final = 1 << _BITS
_LOWEST: Final = 1 << 23

Symbols = npt.NDArray[np.int8]


def decode(stream: bytes, count: int, frequencies: Mapping[int, int]) -> Symbols:
    """``count`` symbols.

    Args:
        stream: what :func:`encode` gives.
        count: how many.
        frequencies: of each int8 symbol, ascending, together 65,536.

    Raises:
        Refused: ``corrupt``: the frequencies are none, or the stream does not end in the coder's first state;
            ``truncated``.
    """
    symbols, shares = list(frequencies), list(frequencies.values())
    if symbols != sorted(symbols) or min(shares, default=0) < 1 or sum(shares) != TOTAL:
        raise Refused("corrupt", "the frequencies of a rANS stream do not add up to 65,536 in ascending order")
    starts = np.zeros(256, np.uint32)
    widths = np.zeros(256, np.uint32)
    index = np.array(symbols, np.int8).view(np.uint8)
    widths[index] = shares
    starts[index] = np.cumsum([0, *shares[:-1]])
    slots = np.repeat(index, shares)
    out = np.empty(count, np.uint8)
    state, left = _decoder()(np.frombuffer(stream, np.uint8), slots, starts, widths, out)
    if left < 0:
        raise Refused("truncated", f"the rANS stream ends before its {count:,} symbols")
    if state != _LOWEST or left:
        raise Refused("corrupt", "the rANS stream does not end where it should")
    return out.view(np.int8)


@cache
def _decoder() -> Callable[..., tuple[int, int]]:
    """The loop, compiled: the state after the last symbol and the bytes left, -1 if there were too few."""
    import numba

    def loop(stream: Any, slots: Any, starts: Any, widths: Any, out: Any) -> tuple[int, int]:
        at = len(stream)
        if at < 4:
            return 0, -1
        state = 0
        for _ in range(4):
            at -= 1
            state = (state << 8) | int(stream[at])
        for number in range(len(out)):
            slot = state & 0xFFFF
            symbol = slots[slot]
            state = int(widths[symbol]) * (state >> 16) + slot - int(starts[symbol])
            while state < 1 << 23:
                if at == 0:
                    return state, -1
                at -= 1
                state = (state << 8) | int(stream[at])
            out[number] = symbol
        return state, at

    compiled: Callable[..., tuple[int, int]] = numba.njit(loop)
    return compiled


def scaled_frequencies(symbols: Symbols) -> dict[int, int]:
    """Frequencies out of 65,536, ascending, each at least 1; the commonest symbol takes what rounding leaves."""
    values, counts = np.unique(symbols, return_counts=True)
    shares = np.maximum(counts * TOTAL // max(len(symbols), 1), 1)
    shares[np.argmax(shares)] += TOTAL - shares.sum()
    return dict(zip(values.tolist(), shares.tolist(), strict=True))


def encode(symbols: Symbols, frequencies: Mapping[int, int]) -> bytes:
    """The stream of ``symbols``; equal input gives equal bytes."""
    starts = dict(zip(frequencies, np.cumsum([0, *frequencies.values()]).tolist(), strict=False))
    state, out = _LOWEST, bytearray()
    for symbol in reversed(symbols.tolist()):
        frequency = frequencies[symbol]
        while state >= (_LOWEST >> _BITS << 8) * frequency:
            out.append(state & 0xFF)
            state >>= 8
        state = (state // frequency << _BITS) + state % frequency + starts[symbol]
    return bytes(out) + state.to_bytes(4, "little")
