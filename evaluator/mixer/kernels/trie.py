"""Exact counts of every context of up to ``W`` tokens in one walk per position.

The trie is read backwards: a node of depth ``k`` is one string of ``k`` tokens, newest token first, and its child by
token ``a`` is the string one token longer to the left. Children are found in one open-addressing table whose full
64-bit key ``node << 16 | token`` is compared, so two contexts never share a node.

Two facts keep it small and fast.

*One walk counts contexts and followers.* The followers of the context ``c`` are the strings ``c a``, one longer: how
often ``a`` followed ``c`` before is how often the string ``c a``, which ends at the next position, was seen before.
There is no table of (context, follower) pairs.

*A string that was seen once is a pointer.* Its node is a leaf that keeps the position ``q`` of that occurrence. What
lies deeper is in the stream itself, to the left of ``q``; a leaf grows into nodes only when it is visited a second
time, and only as deep as the two occurrences agree. The counts stay exact and most of the nodes are never made.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from evaluator.ledger import Tokens
from evaluator.mixer.kernels.compiled import compiled

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Word = int | np.int64
Int16 = npt.NDArray[np.int16]

ROOTS: Final = 65_537
"""Nodes that always exist: the empty context (node 0) and every string of one uint16 token ``a`` (node ``1 + a``)."""

COUNTED: Final = 0
NODES: Final = 1
PATH: Final = 2
SHIFT: Final = 3
"""Words of ``state``: last position entered, nodes in use, nodes on the path, 64 - log2(number of slots)."""

LENGTHS: Final = 6
"""Buckets of a context's length: 1, 2, 3, 4 or 5, 6 to 8, more. Fewer boosts are learned faster."""
COUNTS: Final = 4
"""Buckets of a context's count: 1, 2, 3 to 5, more."""
CONFIDENCES: Final = 4
"""Buckets of the hint's share of its context: under 1/2, under 4/5, under 19/20, more."""
HINT_BUCKETS: Final = LENGTHS * COUNTS * CONFIDENCES

_FIBONACCI: Final = -7046029254386353131  # 2**64 / golden ratio, odd, as int64 (Knuth, TAOCP 3, 6.4)


class Tables(NamedTuple):
    """The trie and where the walk stands; ``W`` is the length of the longest string.

    Attributes:
        slots: int64 ``(capacity, 2)``: (key, node); key 0 is an empty slot; the capacity is a power of two.
        nodes: int32 ``(n, 2)``: (count, position) of a leaf, which was seen once; else (count, distinct followers).
        tops: int32 ``(n, 2)``: (most frequent follower, its count) of nodes that are no leaves; ``(0, 2)``: not kept.
        state: int64 ``(4,)``: see :data:`COUNTED` and its neighbours.
        path: int64 ``(W,)``: nodes, by length, of the contexts that end at the last position entered and occurred
            twice or more, that one included.
        trail: int64 ``(W + 1,)``: scratch.
        seen: int32 ``(W + 1,)``: how often, by length, the strings that end there occurred before.
        row: int32 ``(W, 2)``: (count, distinct followers) of the contexts of ``0 .. W - 1`` tokens that end there.
    """

    slots: Int64
    nodes: Int32
    tops: Int32
    state: Int64
    path: Int64
    trail: Int64
    seen: Int32
    row: Int32


@compiled
def _slot(slots: Int64, shift: int, key: Word) -> Word:
    """Index of ``key`` in ``slots``, or of the empty slot where it belongs."""
    mask = len(slots) - 1
    i = ((key * _FIBONACCI) >> shift) & mask
    while slots[i, 0] != 0 and slots[i, 0] != key:
        i = (i + 1) & mask
    return i


@compiled
def rehash(old: Int64, new: Int64, shift: int) -> None:
    """Move every entry of ``old`` to the empty table ``new`` of ``2 ** (64 - shift)`` slots."""
    for j in range(len(old)):
        if old[j, 0] != 0:
            i = _slot(new, shift, old[j, 0])
            new[i, 0] = old[j, 0]
            new[i, 1] = old[j, 1]


@compiled
def _add(tables: Tables, parent: Word, token: int, count: int, value: Word) -> Word:
    """Make the child of ``parent`` by ``token``, which there is not yet; returns its number."""
    slots, nodes, state = tables.slots, tables.nodes, tables.state
    key = parent << 16 | np.int64(token)
    i = _slot(slots, state[SHIFT], key)
    node: Word = state[NODES]
    slots[i, 0] = key
    slots[i, 1] = node
    nodes[node, 0] = count
    nodes[node, 1] = value
    state[NODES] += 1
    return node


@compiled
def _grow(tokens: Tokens, t: int, tables: Tables, depth: int, reach: int) -> None:
    """Make nodes of the strings of up to ``reach`` tokens that the leaf ``trail[depth]`` shares with position ``t``."""
    nodes, tops, trail = tables.nodes, tables.tops, tables.trail
    q = np.int64(nodes[trail[depth], 1])
    nodes[trail[depth], 1] = 1
    for k in range(depth, reach + 1):
        if k > depth:
            trail[k] = _add(tables, trail[k - 1], tokens[t - k + 1], 2, 1)
        if len(tops) > 0:
            tops[trail[k], 0] = tokens[q + 1]
            tops[trail[k], 1] = 1
    if reach < len(trail) - 1:
        if q >= reach:
            _add(tables, trail[reach], tokens[q - reach], 1, q)
        if t >= reach:
            _add(tables, trail[reach], tokens[t - reach], 1, t)


@compiled
def enter(tokens: Tokens, t: int, tables: Tables) -> None:  # noqa: PLR0912 - one function: a call here costs 0.1 us
    """Credit ``tokens[t]`` as follower of the contexts that end at ``t - 1``, then count those that end at ``t``.

    On return ``row``, ``seen``, ``path`` and the ``tops`` of the path are what is known at ``t`` of what may follow.
    """
    slots, nodes, tops, state = tables.slots, tables.nodes, tables.tops, tables.state
    path, trail, seen, row = tables.path, tables.trail, tables.seen, tables.row
    W = len(path)

    # Walk down. Every node before the last of the trail was seen at least twice.
    depth = 1
    trail[1] = np.int64(tokens[t]) + 1
    missing = False
    while True:
        seen[depth] = nodes[trail[depth], 0]
        if seen[depth] < 2 or depth == W or t < depth:
            break
        slot = _slot(slots, state[SHIFT], trail[depth] << 16 | np.int64(tokens[t - depth]))
        if slots[slot, 0] == 0:
            missing = True
            break
        depth += 1
        trail[depth] = slots[slot, 1]
    reach = depth
    if seen[depth] == 1:
        q = np.int64(nodes[trail[depth], 1])
        while reach < W and q >= reach and tokens[q - reach] == tokens[t - reach]:
            reach += 1
            seen[reach] = 1
    for k in range(reach + 1, W + 1):
        seen[k] = 0

    # The context of k tokens that ends at t - 1 was followed by tokens[t] as often as the string of k + 1 was seen.
    for k in range(state[PATH] - 1, -1, -1):
        if seen[k + 1] == 0:
            nodes[path[k], 1] += 1
        elif len(tops) == 0:
            break
        if len(tops) > 0 and seen[k + 1] >= tops[path[k], 1]:
            tops[path[k], 0] = tokens[t]
            tops[path[k], 1] = seen[k + 1] + 1

    # What is known at t, before this occurrence of its contexts counts. Seen once means one follower.
    row[0, 0] = t + 1
    row[0, 1] = nodes[0, 1]
    for k in range(1, W):
        row[k, 0] = seen[k]
        row[k, 1] = nodes[trail[k], 1] if seen[k] > 1 else seen[k]

    # Count the occurrence; what was seen once is now seen twice.
    for k in range(1, depth + 1):
        nodes[trail[k], 0] += 1
    if seen[depth] == 0:
        nodes[trail[depth], 1] = t
        depth -= 1
    elif seen[depth] == 1:
        _grow(tokens, t, tables, depth, reach)
        depth = reach
    elif missing:
        _add(tables, trail[depth], tokens[t - depth], 1, t)
    state[PATH] = min(depth + 1, W)
    for k in range(1, state[PATH]):
        path[k] = trail[k]
    state[COUNTED] = t


@compiled
def has_room(tables: Tables) -> bool:
    """Whether one more position can be entered, whatever it holds."""
    return bool(tables.state[NODES] + len(tables.path) + 2 <= len(tables.nodes))


@compiled
def count(tokens: Tokens, stop: int, tables: Tables, rows: Int32) -> None:
    """Write the rows of positions ``state[COUNTED] .. stop - 1`` or as far as there is room.

    ``rows`` is int32 ``(n, W, 3)``: ``rows[i, k]`` is (count of the context of ``k`` tokens, distinct followers, count
    of the target among them) of the ``i``-th of these positions.
    """
    seen, row = tables.seen, tables.row
    start = tables.state[COUNTED]
    for p in range(start, stop):
        if not has_room(tables):
            return
        for k in range(len(row)):
            rows[p - start, k, 0] = row[k, 0]
            rows[p - start, k, 1] = row[k, 1]
        enter(tokens, p + 1, tables)
        for k in range(len(row)):
            rows[p - start, k, 2] = seen[k + 1]


@compiled
def _hint_bucket(k: int, n: int, m: int) -> int:
    """The bucket of a hint that followed ``m`` of the ``n`` occurrences of a context of ``k`` tokens."""
    length = k - 1 if k <= 3 else 3 if k <= 5 else 4 if k <= 8 else 5
    count = 0 if n == 1 else 1 if n == 2 else 2 if n <= 5 else 3
    confidence = 0 if 2 * m < n else 1 if 5 * m < 4 * n else 2 if 20 * m < 19 * n else 3
    return (length * COUNTS + count) * CONFIDENCES + confidence


@compiled
def find_hints(
    tokens: Tokens, stop: int, tables: Tables, min_count: int, min_confidence: float, hints: Int32, buckets: Int16
) -> None:
    """Write hints and buckets, -1 for none, of positions ``state[COUNTED] .. stop - 1`` or as far as there is room."""
    tops, state, path, seen = tables.tops, tables.state, tables.path, tables.seen
    for p in range(state[COUNTED], stop):
        if not has_room(tables):
            return
        hints[p] = buckets[p] = -1
        k = state[PATH] - 1
        while k > 0 and seen[k] < min_count:
            k -= 1
        if k > 0 and tops[path[k], 1] >= min_confidence * seen[k]:
            hints[p] = tops[path[k], 0]
            buckets[p] = _hint_bucket(k, seen[k], tops[path[k], 1])
        enter(tokens, p + 1, tables)
