"""Three compressions that four bytes name, of one family of writers (#1539, #1550, #1624, #1633).

* ``LZMA``: an xz stream.
* ``BROT``: brotli of the bytes in four lanes (those at offsets 0, 4, 8, ..., then 1, 5, 9, ...) of the data padded with
  zeros to a multiple of four; one last byte says how many zeros.
* ``RANS``: u32 bytes, u32 symbols (the same number), u32 entries of the table, the table (i8 symbol ascending, u32
  frequency, together 65,536), the stream. It codes each byte by :mod:`evaluator.artifact.rans`.

Inside is a torch zip.
"""

from __future__ import annotations

import struct
from typing import Final, Literal

import numpy as np

from evaluator.artifact import codecs, rans
from evaluator.artifact.cursor import Cursor
from evaluator.refusal import Refused

_LANES: Final = 4
_CODECS: Final = {b"RANS": "rans", b"BROT": "tagged-brotli", b"LZMA": "tagged-lzma"}


def codec(data: bytes) -> str | None:
    """The compression that ``data`` starts with the tag of, if it does."""
    return _CODECS.get(data[:4])


def decompress(data: bytes, allowance: int) -> bytes:
    """What tagged ``data`` holds, at most ``allowance`` bytes.

    Raises:
        Refused: ``bomb``, ``truncated``, ``corrupt``, ``trailing-data``, ``bad-shuffle``.
    """
    body = data[4:]
    match _CODECS[data[:4]]:
        case "rans":
            return _decode(body, allowance)
        case "tagged-brotli":
            return _from_lanes(codecs.decompress(body, "brotli", allowance))
        case _:
            return codecs.decompress(body, "lzma", allowance)


def compress(data: bytes, tag: Literal["RANS", "BROT", "LZMA"]) -> bytes:
    """``data`` under ``tag``, for round trips; rANS symbol by symbol in Python, about a million a second."""
    match tag:
        case "RANS":
            symbols = np.frombuffer(data, np.int8)
            frequencies = rans.scaled_frequencies(symbols)
            table = b"".join(struct.pack("<bI", symbol, frequency) for symbol, frequency in frequencies.items())
            header = struct.pack("<III", len(data), len(data), len(frequencies))
            return b"RANS" + header + table + rans.encode(symbols, frequencies)
        case "BROT":
            return b"BROT" + codecs.compress(_to_lanes(data), "brotli")
        case "LZMA":
            return b"LZMA" + codecs.compress(data, "lzma")


def _decode(body: bytes, allowance: int) -> bytes:
    cursor = Cursor(body, "the rANS artifact")
    size, symbols, entries = (cursor.unsigned(4) for _ in range(3))
    if size != symbols or not 0 < entries <= 256:
        raise Refused("corrupt", f"a rANS header says {size:,} bytes, {symbols:,} symbols and {entries:,} frequencies")
    if size > allowance:
        raise Refused("bomb", f"{len(body):,} bytes of rANS claim to expand to {size:,}, more than {allowance:,}")
    frequencies = dict(struct.unpack("<bI", cursor.take(5)) for _ in range(entries))
    if len(frequencies) != entries:
        raise Refused("corrupt", "a rANS table gives a symbol two frequencies")
    return rans.decode(cursor.take(cursor.rest), size, frequencies).tobytes()


def _to_lanes(data: bytes) -> bytes:
    padding = -len(data) % _LANES
    rows = np.frombuffer(data + bytes(padding), np.uint8).reshape(-1, _LANES)
    return rows.T.tobytes() + bytes([padding])


def _from_lanes(data: bytes) -> bytes:
    if len(data) % _LANES != 1 or data[-1] >= _LANES:
        raise Refused("bad-shuffle", f"{len(data):,} bytes are not {_LANES} lanes and a count of padding")
    lanes = np.frombuffer(data, np.uint8, len(data) - 1).reshape(_LANES, -1)
    raw = lanes.T.tobytes()
    return raw[: len(raw) - data[-1]]
