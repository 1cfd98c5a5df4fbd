"""Small submissions made on the spot."""

from __future__ import annotations

import base64
import lzma
from collections.abc import Mapping
from pathlib import Path

INNER = """import os
import torch

ttt_enabled = bool(int(os.environ.get("TTT_ENABLED", "0")))


def main():
    print("inner", "é", ttt_enabled)


main()
""" + "".join(f"value_{i} = {i}\n" for i in range(60))
"""A script to pack; long enough that packing it makes sense."""


def make(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write a folder of files and return it."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def raw_lzma2(text: str) -> bytes:
    """Raw LZMA2, the packers' favourite."""
    return lzma.compress(text.encode(), lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 9}])


def packed(text: str) -> str:
    """The most common stub around a script."""
    blob = base64.b85encode(raw_lzma2(text)).decode()
    return (
        "import lzma as L,base64 as B\n"
        f'exec(L.decompress(B.b85decode("{blob}"),format=L.FORMAT_RAW,filters=[{{"id":L.FILTER_LZMA2}}]))\n'
    )
