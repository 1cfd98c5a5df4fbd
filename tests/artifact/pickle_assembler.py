"""Pickles and torch zips written opcode by opcode, because no honest writer produces what the tests need."""

from __future__ import annotations

import io
import pickle
import zipfile


def text(value: str) -> bytes:
    """BINUNICODE."""
    body = value.encode()
    return b"X" + len(body).to_bytes(4, "little") + body


def number(value: int) -> bytes:
    """The shortest opcode for an integer."""
    return pickle.dumps(value, 2)[2:-1]


def tuple_of(*items: bytes) -> bytes:
    """MARK, items, TUPLE."""
    return b"(" + b"".join(items) + b"t"


def numbers(*values: int) -> bytes:
    """A tuple of integers."""
    return tuple_of(*map(number, values))


def dictionary(**items: bytes) -> bytes:
    """A dictionary with string keys."""
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def name(module: str, attribute: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{attribute}\n".encode()


def call(module: str, attribute: str, *arguments: bytes) -> bytes:
    """GLOBAL applied to arguments by REDUCE."""
    return name(module, attribute) + tuple_of(*arguments) + b"R"


def storage(count: int, key: str = "0", kind: str = "FloatStorage") -> bytes:
    """A persistent reference to a storage."""
    return tuple_of(text("storage"), name("torch", kind), text(key), text("cpu"), number(count)) + b"Q"


def tensor(
    shape: tuple[int, ...],
    stride: tuple[int, ...],
    *,
    first: int = 0,
    count: int = 16,
    key: str = "0",
    kind: str = "FloatStorage",
) -> bytes:
    """A tensor over a storage of ``count`` elements."""
    hooks = call("collections", "OrderedDict")
    view = (number(first), numbers(*shape), numbers(*stride), b"\x89", hooks)
    return call("torch._utils", "_rebuild_tensor_v2", storage(count, key, kind), *view)


def program(body: bytes) -> bytes:
    """PROTO 2, body, STOP."""
    return b"\x80\x02" + body + b"."


def zip_of(records: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for record, body in records.items():
            archive.writestr(record, body)
    return file.getvalue()


def torch_zip_of(body: bytes, storages: dict[str, bytes] | None = None) -> bytes:
    """A torch zip whose pickle is ``program(body)``; by default one storage "0" of 16 float32 zeros."""
    records = {"archive/data.pkl": program(body), "archive/byteorder": b"little"}
    for key, content in (storages if storages is not None else {"0": bytes(64)}).items():
        records[f"archive/data/{key}"] = content
    records["archive/version"] = b"3\n"
    return zip_of(records)


def weights(body: bytes) -> bytes:
    """A torch zip of a dictionary with ``body`` under the name ``w``."""
    return torch_zip_of(dictionary(w=body))
