"""Decompress and decode bytes from an untrusted script, with a cap on what comes out.

Each function takes what its namesake in the standard library (or ``brotli``, ``zstandard``) takes, plus ``limit``, the
most bytes that may come out.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import lzma
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_LZMA_MEMORY = 512 << 20
_LZMA_DICTIONARY = 128 << 20


class DecodeError(Exception):
    """The bytes do not decode, or decode to more than the limit; one line."""


def lzma_decompress(
    data: bytes,
    limit: int,
    format: int = lzma.FORMAT_AUTO,
    memlimit: int | None = None,
    filters: Sequence[Mapping[str, Any]] | None = None,
) -> bytes:
    """``lzma.decompress``; a raw stream's dictionary is capped, since ``memlimit`` does not apply to it."""
    del memlimit  # ours holds
    chain = [dict(item) for item in filters] if filters is not None else None
    for item in chain or ():
        if int(item.get("dict_size") or 0) > _LZMA_DICTIONARY:
            raise DecodeError("an lzma filter asks for an enormous dictionary")
    try:
        decoder = lzma.LZMADecompressor(format, None if format == lzma.FORMAT_RAW else _LZMA_MEMORY, chain)
        out = decoder.decompress(data, limit + 1)
    except (lzma.LZMAError, ValueError, TypeError, MemoryError, OverflowError) as error:
        raise DecodeError(f"lzma: {error}") from None
    return _capped(out, limit, decoder.eof or format == lzma.FORMAT_RAW, "lzma")


def zlib_decompress(data: bytes, limit: int, wbits: int = zlib.MAX_WBITS, bufsize: int = 0) -> bytes:
    """``zlib.decompress``."""
    del bufsize
    try:
        decoder = zlib.decompressobj(wbits)
        out = decoder.decompress(data, limit + 1)
    except (zlib.error, ValueError, OverflowError) as error:
        raise DecodeError(f"zlib: {error}") from None
    return _capped(out, limit, decoder.eof, "zlib")


def gzip_decompress(data: bytes, limit: int) -> bytes:
    """``gzip.decompress`` of one member."""
    return zlib_decompress(data, limit, wbits=31)


def bz2_decompress(data: bytes, limit: int) -> bytes:
    """``bz2.decompress`` of one stream."""
    decoder = bz2.BZ2Decompressor()
    try:
        out = decoder.decompress(data, limit + 1)
    except (OSError, ValueError) as error:
        raise DecodeError(f"bz2: {error}") from None
    return _capped(out, limit, decoder.eof, "bz2")


def brotli_decompress(data: bytes, limit: int) -> bytes:
    """``brotli.decompress``."""
    import brotli

    decoder = brotli.Decompressor()
    try:
        # The buffer ends at the first block boundary past this limit, so it may come out a little longer.
        out: bytes = decoder.process(data, output_buffer_limit=limit + 1)
    except brotli.error as error:
        raise DecodeError(f"brotli: {error}") from None
    return _capped(out, limit, decoder.is_finished(), "brotli")


def zstd_decompress(data: bytes, limit: int, max_output_size: int = 0) -> bytes:
    """``zstandard.ZstdDecompressor().decompress`` of one frame."""
    import zstandard

    del max_output_size
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=_LZMA_DICTIONARY).stream_reader(data)
        out = reader.read(limit + 1)
    except zstandard.ZstdError as error:
        raise DecodeError(f"zstd: {error}") from None
    return _capped(out, limit, finished=True, name="zstd")


def _capped(out: bytes, limit: int, finished: bool, name: str) -> bytes:
    if len(out) > limit:
        raise DecodeError(f"{name}: more than {limit} bytes come out")
    if not finished:
        raise DecodeError(f"{name}: the data ends early")
    return out


def _text_codec(function: Callable[..., bytes], name: str) -> Callable[..., bytes]:
    def decode(data: bytes | str, limit: int, *arguments: Any, **keywords: Any) -> bytes:
        try:
            out = function(data, *arguments, **keywords)
        except (ValueError, TypeError, binascii.Error, AttributeError) as error:
            raise DecodeError(f"{name}: {error}") from None
        return _capped(out, limit, finished=True, name=name)

    return decode


DECODERS: Mapping[str, tuple[str, Callable[..., bytes]]] = {
    "lzma.decompress": ("lzma", lzma_decompress),
    "zlib.decompress": ("zlib", zlib_decompress),
    "gzip.decompress": ("gzip", gzip_decompress),
    "bz2.decompress": ("bz2", bz2_decompress),
    "brotli.decompress": ("brotli", brotli_decompress),
    "zstandard.decompress": ("zstd", zstd_decompress),
    "base64.b64decode": ("base64", _text_codec(base64.b64decode, "base64")),
    "base64.standard_b64decode": ("base64", _text_codec(base64.standard_b64decode, "base64")),
    "base64.urlsafe_b64decode": ("base64", _text_codec(base64.urlsafe_b64decode, "base64")),
    "base64.decodebytes": ("base64", _text_codec(base64.decodebytes, "base64")),
    "base64.b85decode": ("base85", _text_codec(base64.b85decode, "base85")),
    "base64.a85decode": ("ascii85", _text_codec(base64.a85decode, "ascii85")),
    "base64.b32decode": ("base32", _text_codec(base64.b32decode, "base32")),
    "base64.b16decode": ("base16", _text_codec(base64.b16decode, "base16")),
    "binascii.unhexlify": ("base16", _text_codec(binascii.unhexlify, "base16")),
    "binascii.a2b_hex": ("base16", _text_codec(binascii.a2b_hex, "base16")),
    "binascii.a2b_base64": ("base64", _text_codec(binascii.a2b_base64, "base64")),
    "bytes.fromhex": ("base16", _text_codec(bytes.fromhex, "base16")),
    "bytearray.fromhex": ("base16", _text_codec(bytes.fromhex, "base16")),
}
"""Dotted name of a decoding function -> name in a codec chain, and its bounded implementation."""

REFUSED = frozenset({"marshal.loads", "marshal.load", "pickle.loads", "pickle.load", "dill.loads", "cloudpickle.loads"})
"""Decoders that build objects or byte code: never imitated."""
