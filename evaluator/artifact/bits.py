"""Codes of fewer than 8 bits packed into bytes, in the ways that submissions pack them."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from evaluator.refusal import Refused

Codes = npt.NDArray[np.int8]
_TRITS: Final = 5  # base-3 digits per byte
_POWERS: Final = 3 ** np.arange(_TRITS)


def unpack_trits(name: str, data: bytes, count: int) -> Codes:
    """``count`` codes -1, 0, 1 from base-3 digits (code + 1), five per byte, the least significant first.

    Raises:
        Refused: ``bad-packing``: another number of bytes, or a byte of more than five digits.
    """
    packed = _exactly(name, data, -(-count // _TRITS))
    if packed.size and packed.max() >= 3**_TRITS:
        raise Refused("bad-packing", f"{name!r} has a byte that is no five base-3 digits")
    digits = packed[:, None] // _POWERS % 3
    return (digits.reshape(-1)[:count] - 1).astype(np.int8)


def pack_trits(codes: Codes) -> bytes:
    """The inverse of :func:`unpack_trits`; the tail is padded with digit 0."""
    digits = np.zeros(-(-codes.size // _TRITS) * _TRITS, np.int64)
    digits[: codes.size] = codes.reshape(-1) + 1
    return (digits.reshape(-1, _TRITS) @ _POWERS).astype(np.uint8).tobytes()


def unpack_masked_signs(name: str, data: bytes, count: int) -> Codes:
    """``count`` codes -1, 0, 1: a bit mask of those that are not zero, then a bit per such code, set for +1.

    Both parts are padded to whole bytes, the most significant bit first. Raises as :func:`unpack_trits`.
    """
    mask_bytes = -(-count // 8)
    mask = np.unpackbits(_exactly(name, data[:mask_bytes], mask_bytes))[:count].astype(bool)
    nonzero = int(mask.sum())
    signs = np.unpackbits(_exactly(name, data[mask_bytes:], -(-nonzero // 8)))[:nonzero]
    codes = np.zeros(count, np.int8)
    codes[mask] = 2 * signs.astype(np.int8) - 1
    return codes


def pack_masked_signs(codes: Codes) -> bytes:
    """The inverse of :func:`unpack_masked_signs`."""
    flat = codes.reshape(-1)
    return np.packbits(flat != 0).tobytes() + np.packbits(flat[flat != 0] > 0).tobytes()


def unpack_signs(name: str, data: bytes, count: int) -> Codes:
    """``count`` codes -1, 1 from bits, the least significant first; raises as :func:`unpack_trits`."""
    packed = _exactly(name, data, -(-count // 8))
    return 2 * np.unpackbits(packed, bitorder="little")[:count].astype(np.int8) - 1


def pack_signs(codes: Codes) -> bytes:
    """The inverse of :func:`unpack_signs`."""
    return np.packbits(codes.reshape(-1) > 0, bitorder="little").tobytes()


def unpack_nibbles(name: str, data: bytes, count: int) -> Codes:
    """``count`` codes -8..7 from nibbles (code + 8), the low one first; raises as :func:`unpack_trits`."""
    packed = _exactly(name, data, -(-count // 2))
    return (np.stack((packed & 15, packed >> 4), axis=1).reshape(-1)[:count].astype(np.int8) - 8).astype(np.int8)


def pack_nibbles(codes: Codes) -> bytes:
    """The inverse of :func:`unpack_nibbles`; an odd tail is padded with code 0."""
    padded = np.zeros(codes.size + codes.size % 2, np.int8)
    padded[: codes.size] = codes.reshape(-1)
    nibbles = (padded + 8).astype(np.uint8).reshape(-1, 2)
    return (nibbles[:, 0] | nibbles[:, 1] << 4).tobytes()


def unpack_int6(name: str, data: bytes, count: int, offset: int = 31) -> Codes:
    """``count`` codes of 6 bits (code + ``offset``), four in three bytes, the most significant bits first (#170, #192).

    Raises as :func:`unpack_trits`.
    """
    groups = _exactly(name, data, 3 * -(-count // 4)).reshape(-1, 3).astype(np.int32)
    word = groups[:, 0] << 16 | groups[:, 1] << 8 | groups[:, 2]
    codes = np.stack([word >> shift & 63 for shift in (18, 12, 6, 0)], axis=1).reshape(-1)[:count] - offset
    return codes.astype(np.int8)


def pack_int6(codes: Codes, offset: int = 31) -> bytes:
    """The inverse of :func:`unpack_int6`; the tail is padded with zero bits."""
    digits = np.zeros(-(-codes.size // 4) * 4, np.int32)
    digits[: codes.size] = codes.reshape(-1).astype(np.int32) + offset
    word = digits.reshape(-1, 4) @ (64 ** np.array([3, 2, 1, 0], np.int32))
    return np.stack([word >> 16, word >> 8 & 255, word & 255], axis=1).astype(np.uint8).tobytes()


def _exactly(name: str, data: bytes, size: int) -> npt.NDArray[np.uint8]:
    if len(data) != size:
        raise Refused("bad-packing", f"{name!r} is packed into {len(data):,} bytes where it needs {size:,}")
    return np.frombuffer(data, np.uint8)
