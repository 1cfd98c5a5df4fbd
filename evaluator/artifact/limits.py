"""How much an artifact may cost to decode."""

from __future__ import annotations

from dataclasses import dataclass

MiB = 1 << 20


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Bounds on one decoding; every one of them ends in a refusal, none in a crash.

    Attributes:
        file_bytes: largest file that is read at all. The contest's byte cap is another matter and far below.
        raw_bytes: largest size after decompression.
        ratio: largest expansion by decompression, once ``ratio_free_bytes`` are exceeded. Honest weights stay below 10;
            the most regular real file known (an untrained export) reaches 218.
        ratio_free_bytes: raw size below which the ratio is not looked at: small files may be regular.
        tensor_bytes: largest size of all tensors together as float32.
        tensors: largest number of tensors.
        wall_seconds: for the decoding child, start of the interpreter included.
        lrzip_seconds: in its place for per-group containers: ZPAQ gives less than a megabyte per second.
        memory_bytes: for the decoding child.
    """

    file_bytes: int = 512 * MiB
    raw_bytes: int = 512 * MiB
    ratio: int = 256
    ratio_free_bytes: int = 64 * MiB
    tensor_bytes: int = 1024 * MiB
    tensors: int = 20_000
    wall_seconds: float = 120.0
    lrzip_seconds: float = 600.0
    memory_bytes: int = 6 * 1024 * MiB

    def raw_allowance(self, compressed: int) -> int:
        """Bytes that a stream of ``compressed`` bytes may expand to."""
        return min(self.raw_bytes, max(self.ratio_free_bytes, self.ratio * compressed))
