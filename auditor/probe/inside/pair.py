"""Two ranks in lock-step: a forked process and a pair of connected streams, no network.

The first rank runs up to a collective while the second waits, then the second up to the same collective while the first
waits. Nothing runs at the same time, so a run repeats bit for bit, queues in shared files included, and each rank finds
its own validation shard at the path that both know.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from auditor.probe.inside.children import Child, fork
from auditor.probe.inside.tap import TAP
from auditor.probe.two_ranks import first_order

_END = "end"


class RankError(RuntimeError):
    """The ranks do not fit together: one has ended, or they meet at different collectives."""


class Peer:
    """The other rank, as one rank sees it.

    Attributes:
        rank: this process's, 0 or 1.
    """

    def __init__(self, rank: int, connection: Connection, turn: Callable[[int], None]) -> None:
        self.rank = rank
        self._connection = connection
        self._turn = turn
        self._passed = 0
        self._met: tuple[str, Any] | None = None

    def wait(self) -> None:
        """Wait until it is this rank's turn for the first time: the first rank has come to a collective, or its end."""
        if self.rank == 1:
            self._met = self._receive()
        self._resume()

    def exchange(self, what: str, value: Any) -> list[Any]:
        """Meet the other rank at a collective.

        Args:
            what: the collective's name, which must be the same for both.
            value: what this rank gives; tensors arrive as copies.

        Returns:
            What the ranks gave, by rank.

        Raises:
            RankError: the other rank is at another place, or has ended.
        """
        self._connection.send_bytes(pickle.dumps((what, value)))
        other, given = self._met or self._receive()
        if self.rank == 1 and other != _END:
            self._met = self._receive()  # the first rank goes on up to its next collective
        if other != what:
            raise RankError(f"rank {self.rank} is at {what}, the other at {other}")
        self._passed += 1
        self._resume()
        return [value, given] if self.rank == 0 else [given, value]

    def end(self) -> None:
        """Leave: the other rank, if it waits, goes on without this one."""
        try:
            self._connection.send_bytes(pickle.dumps((_END, None)))
        except OSError:
            return  # it has ended, too
        finally:
            self._connection.close()

    def _receive(self) -> tuple[str, Any]:
        try:
            what, value = pickle.loads(self._connection.recv_bytes())  # noqa: S301 - both ends run the same code
        except (EOFError, OSError):
            return _END, None
        return what, value

    def _resume(self) -> None:
        TAP.order = max(TAP.order, first_order(self._passed, self.rank))
        self._turn(self.rank)


def split(timeout: float, turn: Callable[[int], None]) -> tuple[Peer, Child | None]:
    """Fork the second rank; the other rank as this process sees it, and, in the first, the second one's process.

    Args:
        timeout: CPU seconds that the second rank may take.
        turn: called with the rank whenever it goes on.
    """
    ends = Pipe()
    child = fork(timeout)
    rank = 0 if child is not None else 1
    ends[1 - rank].close()
    return Peer(rank, ends[rank], turn), child
