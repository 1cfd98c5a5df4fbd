"""A zip file read strictly: its records by name, or a refusal.

Two readers can disagree about one hostile zip (Python's reads the central directory, another may read local headers).
Whatever passes here is therefore handed on as records; nobody downstream parses the original file again.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Final

from evaluator.refusal import Refused

MAGIC: Final = b"PK\x03\x04"
RECORDS: Final = 50_000
_ENCRYPTED: Final = 0x2041  # traditional, strong and central-directory encryption
_LOCAL_HEADER: Final = struct.Struct("<4s5H3I2H")


def read_records(data: bytes, *, deflate: bool, allowance: int) -> dict[str, bytes]:
    """All records of a zip file.

    Args:
        data: the whole file.
        deflate: whether compressed records are acceptable (``npz`` may be, a torch zip never is).
        allowance: bytes that all records together may expand to.

    Raises:
        Refused: ``truncated``, ``zip-encrypted``, ``zip-duplicate``, ``zip-name``, ``zip-compressed``,
            ``zip-overlap``, ``zip-crc``, ``zip-mismatch``, ``too-many-records``, ``bomb`` or ``bad-zip``.
    """
    archive = _archive(data)
    with archive:
        entries = archive.infolist()
        if len(entries) > RECORDS:
            raise Refused("too-many-records", f"the zip file has {len(entries):,} records, more than {RECORDS:,}")
        _check_directory(entries, deflate=deflate, allowance=allowance)
        _check_extents(data, entries, archive.start_dir)
        return {entry.filename: _read(archive, entry) for entry in entries}


def names(data: bytes) -> list[str]:
    """Names of the records, in the directory's order.

    Raises:
        Refused: ``truncated`` or ``bad-zip``.
    """
    with _archive(data) as archive:
        return [entry.orig_filename for entry in archive.infolist()]


def _archive(data: bytes) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError, UnicodeDecodeError) as error:
        if b"PK\x05\x06" not in data[-66_000:]:
            raise Refused("truncated", "the zip file ends before its directory") from None
        raise Refused("bad-zip", f"not a readable zip file: {error}") from None


def _check_directory(entries: list[zipfile.ZipInfo], *, deflate: bool, allowance: int) -> None:
    seen: set[str] = set()
    total = 0
    for entry in entries:
        name = entry.orig_filename
        if name in seen:
            raise Refused("zip-duplicate", f"the zip file holds two records named {name!r}")
        seen.add(name)
        if not name or "\0" in name or "\\" in name or name.startswith("/") or ".." in name.split("/"):
            raise Refused("zip-name", f"the zip file holds a record with the unsafe name {name!r}")
        if entry.flag_bits & _ENCRYPTED:
            raise Refused("zip-encrypted", f"record {name!r} is encrypted")
        allowed = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) if deflate else (zipfile.ZIP_STORED,)
        if entry.compress_type not in allowed:
            raise Refused("zip-compressed", f"record {name!r} is compressed (method {entry.compress_type})")
        total += entry.file_size
        if total > allowance:
            raise Refused("bomb", f"the zip file declares more than {allowance:,} bytes of records")


def _check_extents(data: bytes, entries: list[zipfile.ZipInfo], directory: int) -> None:
    """Local headers must agree with the directory, and records must lie apart and before it."""
    extents = []
    for entry in entries:
        name, start = entry.orig_filename, entry.header_offset
        if start < 0 or start + _LOCAL_HEADER.size > directory:
            raise Refused("zip-overlap", f"record {name!r} lies outside of the zip file's data")
        signature, _, flags, method, _, _, _, _, _, name_size, extra_size = _LOCAL_HEADER.unpack_from(data, start)
        if signature != MAGIC:
            raise Refused("zip-mismatch", f"record {name!r} has no local header where the directory says")
        body = start + _LOCAL_HEADER.size
        encoding = "utf-8" if flags & 0x800 else "cp437"
        local_name = data[body : body + name_size].decode(encoding, "replace")
        if (local_name, method, flags & _ENCRYPTED) != (name, entry.compress_type, 0):
            raise Refused("zip-mismatch", f"the two headers of record {name!r} disagree")
        extents.append((start, body + name_size + extra_size + entry.compress_size, name))
    end, previous = 0, "the file's start"
    for start, stop, name in sorted(extents):
        if start < end:
            raise Refused("zip-overlap", f"records {previous!r} and {name!r} overlap")
        end, previous = stop, name
    if end > directory:
        raise Refused("zip-overlap", f"record {previous!r} runs into the zip file's directory")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        # Reading stops at the declared size, which the allowance has covered.
        with archive.open(entry) as record:
            data = record.read(entry.file_size) + record.read(1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        reason = "zip-crc" if "CRC" in str(error) else "bad-zip"
        raise Refused(reason, f"record {entry.filename!r} cannot be read: {error}") from None
    if len(data) != entry.file_size:
        raise Refused("zip-mismatch", f"record {entry.filename!r} has {len(data)} bytes, declares {entry.file_size}")
    return data
