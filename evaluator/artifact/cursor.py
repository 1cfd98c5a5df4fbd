"""Reading little-endian fields of a binary format one after the other, never past the end."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from evaluator.refusal import Refused


class Cursor:
    """A position in ``data``; every read refuses with ``truncated`` what is not there."""

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._position = 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes."""
        end = self._position + count
        if count < 0 or end > len(self._data):
            raise Refused("truncated", f"{self._what} ends before it is complete ({len(self._data):,} bytes)")
        piece = self._data[self._position : end]
        self._position = end
        return piece

    def unsigned(self, width: int) -> int:
        """The next ``width`` bytes as an unsigned number."""
        return int.from_bytes(self.take(width), "little")

    def text(self, width: int) -> str:
        """A UTF-8 string after its length in ``width`` bytes; ``bad-name`` if it is none."""
        try:
            return self.take(self.unsigned(width)).decode()
        except UnicodeDecodeError:
            raise Refused("bad-name", f"{self._what} holds a name that is not UTF-8") from None

    def uint16s(self, count: int) -> npt.NDArray[np.uint16]:
        """The next ``count`` 16-bit numbers."""
        return np.frombuffer(self.take(2 * count), "<u2").astype(np.uint16)

    @property
    def rest(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._position

    def finish(self) -> None:
        """Refuse with ``trailing-data`` if anything is left."""
        if self.rest:
            raise Refused("trailing-data", f"{self.rest:,} bytes follow the end of {self._what}")
