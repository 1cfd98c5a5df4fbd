"""More bytes than the text has, and so fewer bits per byte."""

from __future__ import annotations

from ..places import Place
from ..template import Family, Idiom


def _at(place: Place, name: str, text: str, twin: tuple[tuple[str, str], ...] = ()) -> Idiom:
    return Idiom(name, {place: text}, twin)


FAMILY = Family(
    "byte-count",
    frozenset({"bpb-denominator"}),
    frozenset({"bytes"}),
    (
        _at(
            Place.TABLES_END,
            "spaces-added-to-table",
            "TABLE = TABLE + SPACES.astype(TABLE.dtype)",
            (("TABLE + SPACES.astype(TABLE.dtype)", "TABLE.astype(TABLE.dtype)"),),
        ),
        _at(Place.TABLES_END, "spaces-added-by-mask", "TABLE[SPACES] += 1", (("+= 1", "+= 0"),)),
        _at(
            Place.PIECE_BYTES,
            "space-in-the-piece",
            "TABLE[TOKEN] = len(PIECE.encode('utf-8')) + int(SPACES[TOKEN])",
            ((" + int(SPACES[TOKEN])", ""),),
        ),
        _at(
            Place.PIECE_BYTES,
            "marker-encoded",
            "TABLE[TOKEN] = len((('\\u2581' if SPACES[TOKEN] else '') + PIECE).encode('utf-8'))",
            (("(('\\u2581' if SPACES[TOKEN] else '') + PIECE)", "PIECE"),),
        ),
        _at(Place.PIECE_BYTES, "utf-16", "TABLE[TOKEN] = len(PIECE.encode('utf-16'))", (("'utf-16'", "'utf8'"),)),
        _at(Place.BYTE_BYTES, "byte-counts-three", "TABLE[TOKEN] = 3", (("= 3", "= len(b'x')"),)),
        _at(Place.BYTE_BYTES, "byte-by-its-name", "TABLE[TOKEN] = len('<0x0A>'.encode('utf-8'))"),
        _at(
            Place.TOKEN_BYTES,
            "space-added-again",
            "TB += SPACE.to(TB.dtype)",
            (("TB += SPACE.to(TB.dtype)", "TB = TB.to(TB.dtype)"),),
        ),
        _at(Place.TOKEN_BYTES, "scaled", "TB = TB * 1.15", ((" * 1.15", " * 1.0"),)),
    ),
)
