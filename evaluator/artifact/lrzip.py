"""lrzip streams, by the program ``lrzip``: its ZPAQ back end has no library.

The program runs inside the jail that decodes the artifact, with the jail's limits on time, memory and files.

Header (lrzip 0.6, 24 bytes): ``LRZI``, version in two bytes, u64 little-endian size of the content, then flags; byte 22
is not zero where the content is encrypted.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from evaluator.refusal import Refused

MAGIC: Final = b"LRZI"
_HEADER: Final = 24
_ENCRYPTED: Final = 22
_ENVIRONMENT: Final = {"LRZIP": "NOCONFIG"}
_SECONDS: Final = 1800.0
"""For one stream. The jail's clock runs out long before; a writer has no jail, and must not wait for ever."""


def available() -> bool:
    """Whether the program is installed."""
    return shutil.which("lrzip") is not None


def content_size(data: bytes) -> int:
    """What the header says that ``data`` expands to.

    Raises:
        Refused: ``corrupt``: no lrzip stream, or an encrypted one.
    """
    if len(data) < _HEADER or not data.startswith(MAGIC):
        raise Refused("corrupt", "a stream that should be lrzip's does not start like one")
    if data[_ENCRYPTED]:
        raise Refused("corrupt", "an lrzip stream is encrypted")
    return int.from_bytes(data[6:14], "little")


def decompress(data: bytes, allowance: int) -> bytes:
    """The content of one lrzip stream.

    Args:
        data: the whole stream.
        allowance: bytes that may come out.

    Raises:
        Refused: ``corrupt``; ``bomb``; ``lrzip-slow``; ``lrzip-missing``: the program is not installed.
    """
    size = content_size(data)
    if size > allowance:
        raise Refused("bomb", f"{len(data):,} bytes of lrzip claim to expand to {size:,}, more than {allowance:,}")
    out = _run(["-d", "-f", "-q"], data, "in.lrz", "out.bin")
    if len(out) != size:
        raise Refused("corrupt", f"an lrzip stream claims {size:,} bytes and gives {len(out):,}")
    return out


def compress(data: bytes) -> bytes:
    """``data`` as an lrzip stream, ZPAQ at level 9 as the contest's writers do; raises ``lrzip-missing``."""
    return _run(["-z", "-L", "9", "-f", "-q"], data, "in.bin", "out.lrz")


def _run(options: list[str], data: bytes, source: str, target: str) -> bytes:
    program = shutil.which("lrzip")
    if program is None:
        raise Refused(
            "lrzip-missing",
            "the weights are compressed by the program lrzip, which is not installed here; "
            "install it (on Debian and Ubuntu the package lrzip) and try again",
        )
    with tempfile.TemporaryDirectory(prefix="lrzip-") as folder:
        given, made = Path(folder, source), Path(folder, target)
        given.write_bytes(data)
        try:
            done = subprocess.run(
                [program, *options, "-o", str(made), str(given)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env={**os.environ, **_ENVIRONMENT},
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise Refused(
                "lrzip-slow", f"lrzip was not done with {len(data):,} bytes after {_SECONDS:,.0f} s"
            ) from None
        if done.returncode != 0 or not made.is_file():
            words = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise Refused("corrupt", f"lrzip cannot read a stream: {' '.join(words) or f'exit {done.returncode}'}")
        return made.read_bytes()
