"""Making the tables of the trie, and making them larger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from evaluator.mixer.kernels import trie
from evaluator.mixer.kernels.trie import Tables

_NODES_PER_TOKEN: Final = 1.4  # 1.35 measured on a million tokens of English at order 6, 1.53 at order 16
_MIN_CAPACITY_LOG2: Final = 10


def _nodes_for(capacity: int) -> int:
    """How many nodes a table of ``capacity`` slots serves: probes stay short up to a load of 5/8."""
    return trie.ROOTS + capacity * 5 // 8


def new_tables(stream_length: int, order: int, *, tops: bool = False) -> Tables:
    """Empty tables for contexts of up to ``order`` tokens, large enough for ``stream_length`` tokens of ordinary text."""
    capacity = 1 << _MIN_CAPACITY_LOG2
    while _nodes_for(capacity) < trie.ROOTS + _NODES_PER_TOKEN * stream_length:
        capacity *= 2
    W = order + 1
    state = np.zeros(4, np.int64)
    state[trie.NODES] = trie.ROOTS
    state[trie.PATH] = 1
    state[trie.SHIFT] = 64 - (capacity.bit_length() - 1)
    return Tables(
        slots=np.zeros((capacity, 2), np.int64),
        nodes=np.zeros((_nodes_for(capacity), 2), np.int32),
        tops=np.zeros((_nodes_for(capacity) if tops else 0, 2), np.int32),
        state=state,
        path=np.zeros(W, np.int64),
        trail=np.zeros(W + 1, np.int64),
        seen=np.zeros(W + 1, np.int32),
        row=np.zeros((W, 2), np.int32),
    )


def enlarged(tables: Tables) -> Tables:
    """The same trie in tables of twice the capacity; the old ones must not be used any more.

    Raises:
        MemoryError: with what was asked for.
    """
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
    """Call ``step``, which enters positions up to ``stop`` as long as there is room, until all are; returns the tables."""
    while True:
        step(tables)
        if tables.state[trie.COUNTED] >= stop:
            return tables
        tables = enlarged(tables)
