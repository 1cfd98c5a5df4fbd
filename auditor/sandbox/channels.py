"""The parent's ends of the pipes: bounded keepers of what comes out, a feeder of what goes in."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

CHUNK = 1 << 20
"""Bytes moved at once."""


class Sink(Protocol):
    """Takes what a pipe delivers."""

    def take(self, chunk: bytes) -> bool:
        """Accept ``chunk``; False when it is over the limit."""


@dataclass(slots=True)
class Tail:
    """Keeps the last ``limit`` bytes and is never full."""

    limit: int
    data: bytearray = field(default_factory=bytearray)

    def take(self, chunk: bytes) -> bool:
        """Accept ``chunk``, forgetting the oldest bytes."""
        self.data += chunk
        del self.data[: max(len(self.data) - self.limit, 0)]
        return True

    def text(self) -> str:
        """What was kept, for people; broken UTF-8 is replaced."""
        return self.data.decode("utf-8", "replace")


@dataclass(slots=True)
class Spool:
    """Writes to a file of the parent's, up to ``limit`` bytes."""

    file: BinaryIO
    limit: int
    size: int = 0

    def take(self, chunk: bytes) -> bool:
        """Write ``chunk``; False, and nothing written, when it is over the limit."""
        if self.size + len(chunk) > self.limit:
            return False
        self.file.write(chunk)
        self.size += len(chunk)
        return True


@dataclass(slots=True)
class Feeder:
    """Pumps the caller's bytes into a pipe, only as fast as the program reads it."""

    source: BinaryIO
    pending: memoryview = field(default_factory=lambda: memoryview(b""))

    def feed(self, descriptor: int) -> bool:
        """Write what fits; False when there is no more to feed, or nobody to feed it to."""
        if not self.pending:
            self.pending = memoryview(self.source.read(CHUNK) or b"")
        if not self.pending:
            return False
        try:
            self.pending = self.pending[os.write(descriptor, self.pending) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        return True
