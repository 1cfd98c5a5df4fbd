"""Compressors at their fastest level: the size does not matter here, and they took most of the CPU time."""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from contextlib import suppress
from typing import Any

from auditor.probe.inside.patching import replace

_lzma, _zlib, _bz2 = lzma.compress, zlib.compress, bz2.compress


def _compress_lzma(data: Any, format: int = lzma.FORMAT_XZ, check: int = -1, preset: Any = None, filters: Any = None):  # type: ignore[no-untyped-def]
    # A raw stream is decoded with the writer's filters, so filters stay.
    return _lzma(data, format, check, 0 if filters is None else preset, filters)


def _compress_zlib(data: Any, *_: Any, **named: Any) -> bytes:
    return _zlib(data, 1, **{key: value for key, value in named.items() if key == "wbits"})


def _compress_bz2(data: Any, *_: Any, **__: Any) -> bytes:
    return _bz2(data, 1)


def install() -> None:
    """Patch what submissions compress with."""
    replace(lzma, compress=_compress_lzma)
    replace(zlib, compress=_compress_zlib)
    replace(bz2, compress=_compress_bz2)
    with suppress(ImportError):
        brotli = importlib.import_module("brotli")
        slow = brotli.compress
        replace(brotli, compress=lambda data, *_, **__: slow(data, quality=1))
    with suppress(ImportError):
        zstandard = importlib.import_module("zstandard")
        compressor = zstandard.ZstdCompressor
        replace(zstandard, ZstdCompressor=lambda *_, **__: compressor(level=1))
