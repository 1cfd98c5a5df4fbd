"""Exact, causal counts of what followed every context: the door through which statistics of the stream enter."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Final

import numpy as np
import numpy.typing as npt

from evaluator.ledger import Tokens
from evaluator.mixer.kernels import trie
from evaluator.mixer.tables import advance, check_stream, new_tables

Rows = npt.NDArray[np.int32]

_BLOCK: Final = 4096


class CausalCounts:
    """Counts of the contexts of ``0 .. order`` tokens and of their followers, at every position of a stream.

    At position ``p`` the context of ``k`` tokens is ``tokens[p - k + 1 : p + 1]``. Its count is how often it occurred
    *with its follower* in ``tokens[: p + 1]``; the empty context occurred ``p + 1`` times, once before every token. All
    values are functions of ``tokens[: p + 1]``; the target only selects the follower whose count is given. Nothing is
    hashed away: see :mod:`evaluator.mixer.kernels.trie`.

    Counting is incremental and may run in a thread beside other work (the loops release the GIL); threads take turns.

    The tables take 47 to 94 bytes per token: sized for 1.4 nodes per token, a slot of 16 bytes for each with 31 % to
    62 % of the slots full, and 8 bytes for each node that they can hold (measured: 1.35 nodes per token of English at
    ``order`` 6). A stream that needs more doubles them, old and new standing side by side for a moment. Each position
    counted and not yet released takes ``12 * (order + 1)`` bytes.

    Args:
        tokens: uint16, shape ``(T + 1,)``; not copied. Every uint16 value may be a token.
        order: longest context, 0 to 16 tokens.

    Raises:
        ValueError: not uint16, fewer than two tokens, 2**31 tokens or more, or an ``order`` out of range.
    """

    def __init__(self, tokens: Tokens, order: int = 6) -> None:
        self.order = order
        self._tokens = check_stream(tokens, order)
        self._lock = Lock()
        self._blocks: dict[int, Rows] = {}
        self._released = 0
        self._tables = new_tables(self._tokens, order)

    @property
    def counted(self) -> int:
        """The next position to be counted."""
        return int(self._tables.state[trie.COUNTED])

    def count(self, stop: int) -> None:
        """Count up to position ``stop - 1``; nothing happens where that is done already.

        Raises:
            ValueError: ``stop`` is past the end of the stream.
        """
        if stop > len(self._tokens) - 1:
            raise ValueError(f"position {stop - 1} is past the end of the stream ({len(self._tokens) - 1} positions)")
        with self._lock:
            while (start := self.counted) < stop:
                number = start // _BLOCK
                if number not in self._blocks:
                    self._blocks[number] = np.empty((_BLOCK, self.order + 1, 3), np.int32)
                end = min(stop, (number + 1) * _BLOCK)
                self._fill(self._blocks[number], number * _BLOCK, end)

    def _fill(self, block: Rows, first: int, end: int) -> None:
        """Count to ``end`` in ``block``, whose row 0 is that of position ``first``."""
        self._tables = advance(
            self._tables,
            end,
            lambda tables: trie.count(self._tokens, end, tables, block[int(tables.state[trie.COUNTED]) - first :]),
        )

    def rows(self, start: int, stop: int) -> Iterator[tuple[int, Rows]]:
        """The counts of positions ``start .. stop - 1``, in pieces: (first position, int32 ``(n, order + 1, 3)``).

        ``piece[i, k]`` is (count of the context of ``k`` tokens, distinct followers, count of the target among them).
        Counts first what is not counted yet.

        Raises:
            ValueError: ``start`` was released, or ``stop`` is past the end of the stream.
        """
        if start < self._released:
            raise ValueError(f"the counts of position {start} were released")
        self.count(stop)
        while start < stop:
            number = start // _BLOCK
            end = min(stop, (number + 1) * _BLOCK)
            yield start, self._blocks[number][start - number * _BLOCK : end - number * _BLOCK]
            start = end

    def release(self, stop: int) -> None:
        """Forget the rows of positions before ``stop``; they will not be asked for again."""
        with self._lock:
            self._released = max(self._released, stop)
            for number in [n for n in self._blocks if (n + 1) * _BLOCK <= self._released]:
                del self._blocks[number]

    def followers(self, position: int, vocab_size: int) -> npt.NDArray[np.int64]:
        """How often each token followed each context at ``position``; int64 ``(order + 1, vocab_size)``.

        Found by looking through ``tokens[: position + 1]``, not in the tables: a second, independent way to the same
        counts that works at any position and is as slow as it is simple. For proofs, not for scoring.
        """
        prefix = self._tokens[: position + 1]
        counts = np.zeros((self.order + 1, vocab_size), np.int64)
        counts[0] = np.bincount(prefix, minlength=vocab_size)
        ends = np.flatnonzero(prefix[:position] == prefix[position])
        for k in range(1, min(self.order, position) + 1):
            ends = ends[(ends >= k - 1) & (prefix[ends - k + 1] == prefix[position - k + 1])]
            counts[k] = np.bincount(prefix[ends + 1], minlength=vocab_size)
        return counts
