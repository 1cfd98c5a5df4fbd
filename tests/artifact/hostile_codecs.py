"""Hostile compression: cut off, corrupted, followed by more, and bombs."""

from __future__ import annotations

import lzma
import struct
from functools import cache, partial

import brotli
import zstandard
from artifact_controls import CONTROLS
from hostile import Group, Maker

from evaluator.artifact import codecs
from evaluator.artifact.limits import DecodeLimits

_EXPANDED = DecodeLimits().ratio_free_bytes + (1 << 20)
_COMPRESSED = [codec for codec in codecs.CODECS if codec != "none"]


def _cut(codec: str, part: float) -> Maker:
    def make() -> bytes:
        data = CONTROLS[f"wm, shuffled, {codec}"]()
        return data[: int(len(data) * part)]

    return make


def _followed(codec: str) -> Maker:
    return lambda: CONTROLS[f"wm, shuffled, {codec}"]() + b"more"


def _damaged(codec: str, where: float) -> Maker:
    def make() -> bytes:
        data = bytearray(CONTROLS[f"wm, shuffled, {codec}"]())
        start = int(len(data) * where)
        data[start : start + 8] = bytes(byte ^ 0xFF for byte in data[start : start + 8])
        return bytes(data)

    return make


@cache
def bomb(codec: str) -> bytes:
    """A torch zip's first bytes and 65 MiB of zeros, in at most 70 kB."""
    content = b"PK\x03\x04" + bytes(_EXPANDED)
    match codec:
        case "brotli":
            return bytes(brotli.compress(content, quality=3, lgwin=24))
        case "zstd":
            return zstandard.ZstdCompressor(level=3).compress(content)
        case "lzma" | "lzma-alone" | "raw-lzma2":
            form = {"lzma": lzma.FORMAT_XZ, "lzma-alone": lzma.FORMAT_ALONE, "raw-lzma2": lzma.FORMAT_RAW}[codec]
            name = lzma.FILTER_LZMA1 if codec == "lzma-alone" else lzma.FILTER_LZMA2
            return lzma.compress(content, form, filters=[{"id": name, "preset": 0}])
    return codecs.compress(content, codec)


GROUPS = []
for _codec in _COMPRESSED:
    _group = Group(f"wm, shuffled, {_codec}")
    _group.add("truncated", f"{_codec}: half of the stream", _cut(_codec, 0.5))
    _group.add("truncated", f"{_codec}: last byte missing", _cut(_codec, 0.9999))
    _group.add("bomb", f"{_codec}: {_EXPANDED >> 20} MiB of zeros", partial(bomb, _codec), jail=True)
    # The brotli library reports both in one way.
    _group.add(
        "corrupt" if _codec == "brotli" else "trailing-data", f"{_codec}: bytes after the end", _followed(_codec)
    )
    if _codec in {"zlib", "gzip", "lzma"}:
        _group.add("corrupt", f"{_codec}: bytes flipped", _damaged(_codec, 0.5))
    GROUPS.append(_group)

headers = Group("wm, shuffled, zstd")
headers.add("corrupt", "zlib magic, then noise", b"\x78\x9c" + bytes(range(7, 60)))
headers.add("corrupt", "gzip magic, then noise", b"\x1f\x8b\x08\xff" + bytes(range(60)))
headers.add("truncated", "gzip magic only", b"\x1f\x8b\x08")
headers.add("corrupt", "xz magic, then noise", b"\xfd7zXZ\x00" + bytes(range(60)))
headers.add("corrupt", "zstd magic, then noise", b"\x28\xb5\x2f\xfd" + bytes(range(0xF8, 0x100)) * 4)
headers.add("truncated", "zstd magic only", b"\x28\xb5\x2f\xfd")
headers.add("bomb", "13 bytes of LZMA ask for a 4 GiB dictionary", b"]" + struct.pack("<IQ", 0xFFFF_0000, 1 << 31))
headers.add(
    "bomb", "14 bytes of zstd ask for a 2 GiB window", b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + b"\x02\0\0" * 4
)
headers.add("unknown-codec", "ELF magic, then noise", b"\x7fELF\x02\x01\x01" + bytes(range(200)))
headers.add("unknown-codec", "zeros", bytes(1000))
headers.add("unknown-codec", "one byte", b"\xff")
headers.add(
    "unknown-container",
    "a zstd stream in a gzip stream",
    lambda: codecs.compress(CONTROLS["wm, shuffled, zstd"](), "gzip"),
)
headers.add("unknown-container", "compressed text", lambda: codecs.compress(b"once upon a time " * 9, "zlib"))
headers.add("unknown-container", "compressed nothing", lambda: codecs.compress(b"", "zstd"))
for _tag in codecs.UNSUPPORTED_TAGS:
    headers.add("unsupported-format", f"tag {_tag.decode()}", _tag + bytes(100))
headers.add("unsupported-format", "tag HGZ4 within zlib", lambda: codecs.compress(b"HGZ4" + bytes(64), "zlib"))
headers.add("bad-shuffle", "byte shuffle with stride zero", b"BSHF\0\0\0\0" + bytes(40))
headers.add("bad-shuffle", "byte shuffle without data", b"BSHF\x02")
headers.add("unknown-container", "byte shuffle of noise", b"BSHF\x02" + bytes(range(99)))
GROUPS.append(headers)
