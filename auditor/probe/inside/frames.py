"""Tell the submission's frames from the libraries' and from ours."""

from __future__ import annotations

import sys
from functools import cache, lru_cache
from pathlib import Path
from types import CodeType, FrameType

from auditor.probe.record import Site

PACKED = "<packed>"
"""File name of code that the submission unpacked and executed."""

_LIBRARIES = (
    *{f"{prefix}/" for prefix in (sys.prefix, sys.base_prefix) if prefix != "/"},
    f"{Path(__file__).parents[2]}/",
    f"{Path(__file__).resolve().parents[2]}/",
    "<frozen",
    "<__array_function__",
)


@cache
def is_submitted(file: str) -> bool:
    """Whether code compiled from ``file`` is the submission's."""
    return not file.startswith(_LIBRARIES)


def call_site(kind: str, depth: int) -> Site:
    """The innermost frame of the submission's, ``depth`` frames up or further."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and not is_submitted(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None:
        return Site(kind, "", "", 0, 0)
    code = frame.f_code
    return Site(
        kind, code.co_filename.rpartition("/")[2], code.co_name, frame.f_lineno or 0, _start(code, frame.f_lasti)
    )


@lru_cache(maxsize=4096)
def _start(code: CodeType, last: int) -> int:
    """The bytecode offset where the instructions of a call begin.

    A call is several instructions, and which of them is the last one executed changes once the interpreter has
    specialised it, so that the eighth pass of a loop would be another place than the first.
    """
    places = list(code.co_positions())
    start = last // 2
    while start and places[start - 1] == places[start]:
        start -= 1
    return 2 * start
