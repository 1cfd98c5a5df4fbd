"""BSHF: bytes de-interleaved by a stride before compression, so that the low and high bytes of fp16 lie together.

Format: ``BSHF``, the stride, then lane 0, lane 1, ... where lane ``p`` holds the bytes at offsets congruent to ``p``
modulo the stride. The stride is one byte, or, in files of a few submissions, two bytes little-endian. Nothing says
which; the first byte of lane 0 is the ``P`` of the zip within, so a zero byte after the first stride byte means two.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from evaluator.refusal import Refused

MAGIC: Final = b"BSHF"


def shuffle(data: bytes, stride: int = 2, *, wide: bool = False) -> bytes:
    """Shuffle ``data``, which starts with ``P``; ``stride`` is in 1..255, and ``wide`` writes it in two bytes."""
    lanes = np.frombuffer(data, np.uint8)
    header = MAGIC + stride.to_bytes(2 if wide else 1, "little")
    return header + b"".join(lanes[lane::stride].tobytes() for lane in range(stride))


def unshuffle(data: bytes) -> bytes:
    """Undo :func:`shuffle`; data without the magic comes back as it is.

    Raises:
        Refused: ``bad-shuffle``: the header is cut off or its stride is zero.
    """
    if not data.startswith(MAGIC):
        return data
    header = 6 if data[5:6] == b"\0" else 5
    if len(data) <= header:
        raise Refused("bad-shuffle", "the byte-shuffle header is not followed by data")
    stride = int.from_bytes(data[4:header], "little")
    if stride == 0:
        raise Refused("bad-shuffle", "the byte-shuffle stride is zero")
    lanes = np.frombuffer(data, np.uint8, offset=header)
    out = np.empty(len(lanes), np.uint8)
    start = 0
    for lane in range(min(stride, len(lanes))):
        target = out[lane::stride]
        target[:] = lanes[start : start + len(target)]
        start += len(target)
    return out.tobytes()
