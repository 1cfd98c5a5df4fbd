"""Data for the page's script, as a script of its own: what a page opened from disk may load."""

from __future__ import annotations

import json
from collections.abc import Sequence

from auditor.board.row import Row

FIELDS = (
    "page", "pull", "name", "author", "folder", "track", "bpb", "verdict", "broken", "doubted", "grade", "date",
    "rules", "copy",
)  # fmt: skip


def script_data(rows: Sequence[Row]) -> str:
    """``globalThis.BOARD = ...`` in ASCII, without a ``<``, so that nothing in it can end a script element."""
    names = sorted({rule for row in rows for rule, _ in row.rules})
    index = {name: number for number, name in enumerate(names)}
    table = [[_value(row, field, index) for field in FIELDS] for row in rows]
    text = json.dumps({"fields": FIELDS, "rules": names, "rows": table}, separators=(",", ":"), allow_nan=False)
    return f"globalThis.BOARD = {text.replace('<', chr(92) + 'u003c').replace('>', chr(92) + 'u003e')};\n"


def _value(row: Row, field: str, index: dict[str, int]) -> object:
    value = getattr(row, field)
    if field == "rules":
        return [index[rule] for rule, _ in value]
    return int(value) if field == "copy" else value
