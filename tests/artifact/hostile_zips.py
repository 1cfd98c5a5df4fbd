"""Hostile zip files: two readers that could disagree, records that lie, bombs."""

from __future__ import annotations

import struct
import warnings
import zipfile
from io import BytesIO

from artifact_controls import CONTROLS
from hostile import Group
from pickle_assembler import program, tensor, torch_zip_of, zip_of

_PLAIN = CONTROLS["wm, plain"]
_CENTRAL = b"PK\x01\x02"
_LOCAL = b"PK\x03\x04"


def _records() -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(_PLAIN())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _patched(signature: bytes, offset: int, form: str, *values: int, last: bool = True) -> bytes:
    """The control with a field of one header overwritten: the last header of its kind, or the first."""
    data = bytearray(zip_of(_records()))
    start = data.rindex(signature) if last else data.index(signature)
    struct.pack_into(form, data, start + offset, *values)
    return bytes(data)


def _duplicate() -> bytes:
    file = BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.simplefilter("ignore")
        for name, body in [*_records().items(), ("archive/data.pkl", program(b"N"))]:
            archive.writestr(name, body)
    return file.getvalue()


def _crc() -> bytes:
    data = bytearray(zip_of({"archive/data.pkl": program(b"}"), "archive/data/0": b"\x07" * 64}))
    data[data.index(b"\x07" * 64)] ^= 1
    return bytes(data)


def _with(name: str, body: bytes = b"x") -> bytes:
    return zip_of(_records() | {name: body})


def _claims_gigabytes() -> bytes:
    data = bytearray(zip_of({"archive/data.pkl": program(b"}"), "archive/data/0": bytes(64)}))
    for signature, offset in ((_LOCAL, 18), (_CENTRAL, 20)):
        struct.pack_into("<2I", data, data.rindex(signature) + offset, 0x7FFF_FFFF, 0x7FFF_FFFF)
    return bytes(data)


zips = Group("wm, plain")
zips.add("truncated", "first half of a torch zip", lambda: _PLAIN()[: len(_PLAIN()) // 2])
zips.add("truncated", "torch zip without its directory", lambda: _PLAIN()[: _PLAIN().index(_CENTRAL)])
zips.add("bad-zip", "directory overwritten", lambda: _PLAIN().replace(_CENTRAL, b"XXXX"))
zips.add("zip-duplicate", "two records named data.pkl", _duplicate)
zips.add("zip-name", "record ../../etc/passwd", lambda: _with("archive/../../etc/passwd"))
zips.add("zip-name", "record with an absolute name", lambda: _with("/archive/x"))
zips.add("zip-name", "record with a backslash", lambda: _with("archive\\x"))
zips.add("zip-name", "record with NUL in its name", lambda: _with("archive/x?y").replace(b"x?y", b"x\0y"))
zips.add("zip-encrypted", "encrypted record", lambda: _patched(_CENTRAL, 8, "<H", 1))
zips.add("zip-compressed", "deflated torch zip", lambda: zip_of(_records(), zipfile.ZIP_DEFLATED))
zips.add(
    "zip-compressed",
    "a deflated record of 64 MiB of zeros",
    lambda: zip_of({"archive/data.pkl": program(b"}"), "archive/data/0": bytes(64 << 20)}, zipfile.ZIP_DEFLATED),
)
zips.add("zip-compressed", "unknown compression method", lambda: _patched(_CENTRAL, 10, "<H", 99))
zips.add("zip-overlap", "record outside of the file", lambda: _patched(_CENTRAL, 42, "<I", 0x00FF_FFFF))
zips.add("zip-mismatch", "directory points into a record", lambda: _patched(_CENTRAL, 42, "<I", 5))
zips.add("zip-mismatch", "local header has another name", lambda: _patched(_LOCAL, 30, "<B", ord("A"), last=False))
zips.add("zip-mismatch", "local header has another method", lambda: _patched(_LOCAL, 8, "<H", 8, last=False))
zips.add("zip-overlap", "record reaches into the directory", lambda: _patched(_CENTRAL, 20, "<2I", 400, 400))
zips.add("zip-overlap", "record reaches into the next one", lambda: _patched(_CENTRAL, 20, "<2I", 999, 999, last=False))
zips.add("bomb", "100 bytes claim 2 GB twice", _claims_gigabytes)
zips.add("zip-crc", "one bit flipped in a record", _crc)
zips.add("bad-torch-zip", "record in another folder", lambda: _with("elsewhere/data/0"))
zips.add("bad-torch-zip", "big-endian", lambda: zip_of(_records() | {"archive/byteorder": b"big"}))
zips.add("unknown-container", "zip of a text", lambda: zip_of({"readme.txt": b"hello"}))
zips.add("unknown-codec", "empty zip", lambda: zip_of({}))
zips.add("unknown-codec", "program in front of the zip", lambda: b"#!\0" + _PLAIN())
zips.add(
    "too-many-records",
    "60,000 empty records",
    lambda: zip_of({"archive/data.pkl": program(b"}")} | {f"archive/{i}": b"" for i in range(60_000)}),
)
zips.add("truncated", "storage record cut to nothing", lambda: torch_zip_of(tensor((16,), (1,)))[:-30])

GROUPS = [zips]
