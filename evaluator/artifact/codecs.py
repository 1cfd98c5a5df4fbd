"""The outer compression of an artifact: found by its first bytes, undone within bounds.

Brotli and raw LZMA2 have no magic number; they are tried last, in this order, and count only if what comes out is a
container. Every decoder here is a generator of pieces of bounded size, so that :func:`decompress` can stop a bomb
before it is in memory.
"""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import brotli
import zstandard

from evaluator.refusal import Refused

PIECE: Final = 1 << 20
ZSTD_FEED: Final = 1 << 10
"""zstd has no output bound: 1 KiB of input can yield 32 MiB (a 4-byte RLE block stands for 128 KiB)."""
BROTLI_FEED: Final = 1 << 8
"""Fed whole, a stream with bytes after its end would yield nothing at all."""
LZMA_MEMORY: Final = 256 << 20
"""xz -9 needs 65 MiB; a header may claim 4 GiB."""
ZSTD_WINDOW: Final = 1 << 27
"""The window of zstd --ultra -22."""
RAW_LZMA2: Final = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 26}]

UNSUPPORTED_TAGS: Final = {
    b"LRZI": "an lrzip file",
    b"HGZ4": "a hash-gradient container",
}
"""Formats that are recognised and not decoded, by their first four bytes."""


def refuse_unsupported(data: bytes, where: str) -> None:
    """Refuse ``data`` (``where`` says what it is, for the message) if it starts with a tag of an unsupported format."""
    name = UNSUPPORTED_TAGS.get(data[:4])
    if name is not None:
        raise Refused("unsupported-format", f"{where} is {name} ({data[:4].decode()}), which is not supported")


def sniff(data: bytes) -> str | None:
    """The codec whose magic number ``data`` starts with; ``None`` if it starts with none."""
    if data.startswith(b"\x1f\x8b"):
        return "gzip"
    if data.startswith(b"\xfd7zXZ\x00"):
        return "lzma"
    if data.startswith(b"]\x00\x00"):
        return "lzma-alone"
    if data.startswith(b"\x28\xb5\x2f\xfd"):
        return "zstd"
    # RFC 1950: method 8, window at most 32 KiB, no preset dictionary, header a multiple of 31.
    if len(data) >= 2 and data[0] & 0x8F == 0x08 and not data[1] & 0x20 and (data[0] << 8 | data[1]) % 31 == 0:
        return "zlib"
    return None


def without_magic(data: bytes) -> list[str]:
    """Codecs without a magic number that ``data`` could be, in the order in which to try them."""
    # The first LZMA2 chunk must reset the dictionary: control byte 1, or 0xE0 and above.
    return ["brotli", "raw-lzma2"] if data[:1] == b"\x01" or data[:1] >= b"\xe0" else ["brotli"]


def decompress(data: bytes, codec: str, allowance: int) -> bytes:
    """Undo ``codec``.

    Args:
        data: one whole compressed stream.
        codec: ``"zlib"``, ``"gzip"``, ``"lzma"`` (xz), ``"lzma-alone"``, ``"raw-lzma2"``, ``"zstd"`` or ``"brotli"``.
        allowance: bytes that may come out.

    Raises:
        Refused: ``truncated``, ``corrupt``, ``trailing-data`` or ``bomb``.
    """
    raw = bytearray()
    for piece in _DECODERS[codec](data):
        raw += piece
        if len(raw) > allowance:
            raise Refused(
                "bomb",
                f"{len(data):,} bytes of {codec} expand to more than {allowance:,} bytes",
            )
    return bytes(raw)


def first_piece(data: bytes, codec: str) -> bytes:
    """What ``data`` starts with if it is a stream of ``codec``: at most 1 MiB, empty if it is none."""
    try:
        return next(filter(None, _DECODERS[codec](data)), b"")
    except Refused:
        return b""


def _truncated(codec: str, got: int) -> Refused:
    return Refused("truncated", f"the {codec} stream ends before it is complete ({got:,} bytes in the file)")


def _corrupt(codec: str, why: Exception) -> Refused:
    return Refused("corrupt", f"the {codec} stream is corrupt: {why}")


def _trailing(codec: str, count: int) -> Refused:
    return Refused("trailing-data", f"{count:,} bytes follow the end of the {codec} stream")


def _deflate(codec: str, wbits: int) -> Callable[[bytes], Iterator[bytes]]:
    def pieces(data: bytes) -> Iterator[bytes]:
        stream = zlib.decompressobj(wbits)
        rest = data
        while not stream.eof:
            try:
                piece = stream.decompress(rest, PIECE)
            except zlib.error as error:
                raise _corrupt(codec, error) from None
            rest = stream.unconsumed_tail
            if not piece and not rest and not stream.eof:
                raise _truncated(codec, len(data))
            yield piece
        if stream.unused_data:
            raise _trailing(codec, len(stream.unused_data))

    return pieces


def _lzma(codec: str, make: Callable[[], lzma.LZMADecompressor]) -> Callable[[bytes], Iterator[bytes]]:
    def pieces(data: bytes) -> Iterator[bytes]:
        stream = make()
        rest = data
        while not stream.eof:
            if stream.needs_input and not rest:
                raise _truncated(codec, len(data))
            try:
                piece = stream.decompress(rest, PIECE)
            except lzma.LZMAError as error:
                if "memory usage limit" in str(error).lower():
                    raise Refused("bomb", f"the {codec} header asks for more than {LZMA_MEMORY:,} bytes") from None
                raise _corrupt(codec, error) from None
            rest = b""
            yield piece
        if stream.unused_data:
            raise _trailing(codec, len(stream.unused_data))

    return pieces


def _zstd(data: bytes) -> Iterator[bytes]:
    stream = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW).decompressobj()
    position = 0
    while not stream.eof:
        if position >= len(data):
            raise _truncated("zstd", len(data))
        try:
            piece = stream.decompress(data[position : position + ZSTD_FEED])
        except zstandard.ZstdError as error:
            if "too much memory" in str(error):
                raise Refused("bomb", f"the zstd header asks for more than {ZSTD_WINDOW:,} bytes") from None
            raise _corrupt("zstd", error) from None
        position += ZSTD_FEED
        yield piece
    if trailing := len(stream.unused_data) + max(0, len(data) - position):
        raise _trailing("zstd", trailing)


def _brotli(data: bytes) -> Iterator[bytes]:
    stream = brotli.Decompressor()
    position = 0
    while not stream.is_finished():
        rest = b""
        if stream.can_accept_more_data():
            if position >= len(data):
                raise _truncated("brotli", len(data))
            rest = data[position : position + BROTLI_FEED]
            position += BROTLI_FEED
        try:
            piece = stream.process(rest, output_buffer_limit=PIECE)
        except brotli.error:
            # The library does not tell the two apart where the end lies within what it was fed.
            raise Refused("corrupt", "the brotli stream is corrupt, or bytes follow its end") from None
        yield piece
    if position < len(data):
        raise _trailing("brotli", len(data) - position)


_DECODERS: Final[dict[str, Callable[[bytes], Iterator[bytes]]]] = {
    "zlib": _deflate("zlib", 15),
    "gzip": _deflate("gzip", 31),
    "lzma": _lzma("lzma", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, LZMA_MEMORY)),
    "lzma-alone": _lzma("lzma-alone", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, LZMA_MEMORY)),
    "raw-lzma2": _lzma("raw-lzma2", lambda: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=RAW_LZMA2)),
    "zstd": _zstd,
    "brotli": _brotli,
}


def compress(data: bytes, codec: str) -> bytes:
    """Compress as strongly as the contest's writers do; equal input gives equal bytes.

    Args:
        data: what to compress.
        codec: as for :func:`decompress`, or ``"none"``.
    """
    return _ENCODERS[codec](data)


_ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "zlib": lambda data: zlib.compress(data, 9),
    "gzip": lambda data: gzip.compress(data, 9, mtime=0),
    "lzma": lambda data: lzma.compress(data, preset=9),
    "lzma-alone": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=9),
    "raw-lzma2": lambda data: lzma.compress(data, lzma.FORMAT_RAW, filters=RAW_LZMA2),
    "zstd": lambda data: zstandard.ZstdCompressor(level=22).compress(data),
    "brotli": lambda data: bytes(brotli.compress(data, quality=11, lgwin=24)),
    "none": lambda data: data,
}

CODECS: Final = tuple(_ENCODERS)
"""Every codec by name, ``"none"`` among them."""
