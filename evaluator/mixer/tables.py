"""Making the tables of the trie, and making them larger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from evaluator.ledger import Tokens
from evaluator.mixer.kernels import trie
from evaluator.mixer.kernels.trie import Tables

MAX_ORDER: Final = 16
_NODES_PER_TOKEN: Final = 1.4  # 1.35 measured on a million tokens of English at order 6, 1.53 at order 16
_MIN_CAPACITY_LOG2: Final = 10


def _nodes_for(capacity: int) -> int:
    """How many nodes a table of ``capacity`` slots serves: probes stay short up to a load of 5/8."""
    return trie.ROOTS + capacity * 5 // 8


def check_stream(tokens: Tokens, order: int) -> Tokens:
    """``tokens`` as a read-only view that the loops take.

    Raises:
        ValueError: not uint16, fewer than two tokens, 2**31 tokens or more, or an ``order`` out of range.
    """
    if tokens.dtype != np.uint16 or tokens.ndim != 1:
        raise ValueError(f"tokens are a vector of uint16, not {tokens.dtype} of shape {tokens.shape}")
    if not 2 <= len(tokens) < 2**31:
        raise ValueError(f"a stream has 2 to 2**31 - 1 tokens, not {len(tokens)}")
    if not 0 <= order <= MAX_ORDER:
        raise ValueError(f"contexts of 0 to {MAX_ORDER} tokens are counted, not of {order}")
    stream = np.ascontiguousarray(tokens).view(np.ndarray)
    stream.flags.writeable = False
    return stream


def new_tables(stream: Tokens, order: int, *, tops: bool = False) -> Tables:
    """Tables for contexts of up to ``order`` tokens, at position 0, large enough for a ``stream`` of ordinary text."""
    capacity = 1 << _MIN_CAPACITY_LOG2
    while _nodes_for(capacity) < trie.ROOTS + _NODES_PER_TOKEN * len(stream):
        capacity *= 2
    W = order + 1
    state = np.zeros(4, np.int64)
    state[trie.NODES] = trie.ROOTS
    state[trie.PATH] = 1
    state[trie.SHIFT] = 64 - (capacity.bit_length() - 1)
    tables = Tables(
        slots=np.zeros((capacity, 2), np.int64),
        nodes=np.zeros((_nodes_for(capacity), 2), np.int32),
        tops=np.zeros((_nodes_for(capacity) if tops else 0, 2), np.int32),
        state=state,
        path=np.zeros(W, np.int64),
        trail=np.zeros(W + 1, np.int64),
        seen=np.zeros(W + 1, np.int32),
        row=np.zeros((W, 2), np.int32),
    )
    trie.enter(stream, 0, tables)
    return tables


def enlarged(tables: Tables) -> Tables:
    """The same trie in tables of twice the capacity; the old ones must not be used any more."""
    capacity = 2 * len(tables.slots)
    slots = np.zeros((capacity, 2), np.int64)
    nodes = np.zeros((_nodes_for(capacity), 2), np.int32)
    nodes[: len(tables.nodes)] = tables.nodes
    tops = np.zeros((_nodes_for(capacity) if len(tables.tops) else 0, 2), np.int32)
    tops[: len(tables.tops)] = tables.tops
    tables.state[trie.SHIFT] -= 1
    trie.rehash(tables.slots, slots, tables.state[trie.SHIFT])
    return tables._replace(slots=slots, nodes=nodes, tops=tops)


def advance(tables: Tables, stop: int, step: Callable[[Tables], object]) -> Tables:
    """Call ``step``, which walks to position ``stop`` or until there is no more room; enlarge and repeat."""
    while True:
        step(tables)
        if tables.state[trie.COUNTED] >= stop:
            return tables
        tables = enlarged(tables)
