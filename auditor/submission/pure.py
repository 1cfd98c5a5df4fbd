"""What a packed script's loader may compute: an allow-list of pure functions and methods over literals.

Nothing here touches a file, a process or an object that the script could shape; whatever is not listed has an unknown
value.
"""

from __future__ import annotations

import lzma
import posixpath
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

LARGEST = 32 << 20
"""Characters or bytes of a value; longer ones become unknown."""

_MOST_ITEMS = 1 << 18
"""Items of a list; longer ones become unknown."""

_ENCODINGS = frozenset({"utf-8", "utf8", "utf_8", "ascii", "latin-1", "latin1", "latin_1", "iso-8859-1", "utf-8-sig"})


@dataclass(frozen=True, slots=True)
class Dotted:
    """A name that an import bound, such as ``lzma.decompress``: known by name only."""

    name: str


@dataclass(frozen=True, slots=True)
class Bound:
    """A method looked up on a value, not called yet."""

    owner: Any
    name: str


class Unknown:
    """A value that is known only at run time."""


UNKNOWN = Unknown()

_CONSTANT_PREFIXES = ("FORMAT_", "FILTER_", "PRESET_", "CHECK_", "MF_", "MODE_")


def constant(name: str) -> Any:
    """The value of a module's constant, such as ``lzma.FORMAT_RAW``, else a :class:`Dotted`."""
    module, _, attribute = name.rpartition(".")
    if module == "lzma" and attribute.startswith(_CONSTANT_PREFIXES):
        return getattr(lzma, attribute, UNKNOWN)
    if name == "zlib.MAX_WBITS":
        return zlib.MAX_WBITS
    if name in {"os.sep", "os.path.sep"}:
        return "/"
    return Dotted(name)


def _join(*parts: Any) -> str:
    return posixpath.join(*(str(part) for part in parts))


def _path(*parts: Any) -> PurePosixPath:
    return PurePosixPath(*(str(part) for part in parts))


def _octets(*items: Any) -> bytes:
    if items and isinstance(items[0], int) and not 0 <= items[0] <= LARGEST:
        raise ValueError("too many bytes")
    return bytes(*items)


def _short(items: Any) -> Any:
    if len(items) > _MOST_ITEMS:
        raise ValueError("too many items")
    return items


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "os.path.join": _join,
    "os.path.dirname": lambda path: posixpath.dirname(str(path)),
    "os.path.basename": lambda path: posixpath.basename(str(path)),
    "os.path.abspath": str,
    "os.path.realpath": str,
    "os.path.splitext": lambda path: posixpath.splitext(str(path)),
    "os.fspath": str,
    "pathlib.Path": _path,
    "pathlib.PurePath": _path,
    "tempfile.mkdtemp": lambda *_, **__: "/unpacked",
    "tempfile.gettempdir": lambda: "/unpacked",
    "io.BytesIO": bytes,
    "bytes": _octets,
    "bytearray": _octets,
    "memoryview": bytes,
    "str": str,
    "int": int,
    "len": len,
    "list": lambda items=(): list(_short(items)),
    "tuple": lambda items=(): tuple(_short(items)),
    "dict": dict,
    "zip": lambda *items: list(zip(*map(_short, items), strict=False)),
    "enumerate": lambda items, start=0: list(enumerate(_short(items), start)),
    "range": lambda *bounds: list(range(*bounds)[: 1 << 16]),
    "reversed": lambda items: list(reversed(_short(items))),
    "sorted": lambda items: sorted(_short(items)),
    "chr": chr,
    "ord": ord,
    "bytes.maketrans": bytes.maketrans,
    "str.maketrans": str.maketrans,
    "zlib.crc32": zlib.crc32,
    "textwrap.dedent": str,
}
"""Pure functions by dotted name. Those that would take much memory are bounded by their arguments' lengths."""

_TEXT = frozenset(
    [
        *(
            "decode",
            "encode",
            "replace",
            "translate",
            "strip",
            "lstrip",
            "rstrip",
            "join",
            "split",
            "rsplit",
            "splitlines",
        ),
        *("removeprefix", "removesuffix", "lower", "upper", "partition", "rpartition", "startswith", "endswith", "hex"),
        *("tobytes", "getvalue", "read", "find", "index", "count"),
    ]
)
METHODS: Mapping[type, frozenset[str]] = {
    str: _TEXT,
    bytes: _TEXT,
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"index", "count"}),
    tuple: frozenset({"index", "count"}),
    PurePosixPath: frozenset({"joinpath", "with_name", "with_suffix", "as_posix", "resolve", "absolute", "expanduser"}),
    int: frozenset({"to_bytes"}),
}
"""Pure methods by the type of their owner."""

PATH_ATTRIBUTES = frozenset({"parent", "name", "stem", "suffix", "parts"})


def call_method(owner: Any, name: str, arguments: list[Any], keywords: dict[str, Any]) -> Any:
    """Call a pure method; unknown where it is not listed, fails, or could grow without bound."""
    if name not in METHODS.get(type(owner), frozenset()):
        return UNKNOWN
    if name in {"tobytes", "getvalue", "read", "resolve", "absolute", "expanduser"}:
        return owner  # a memoryview or a stream over bytes is its bytes; a path is as good as its resolved form
    try:
        if _may_explode(owner, name, arguments):
            return UNKNOWN
        value = getattr(owner, name)(*arguments, **keywords)
    except (TypeError, ValueError, LookupError, AttributeError, OverflowError, MemoryError):
        return UNKNOWN
    return list(value) if name in {"items", "keys", "values"} else value


def _may_explode(owner: Any, name: str, arguments: list[Any]) -> bool:  # noqa: PLR0911 - one case per method
    """Whether a call could take memory or time out of proportion to its owner's length."""
    first = arguments[0] if arguments else None
    match name:
        case "replace":
            return len(arguments) < 2 or len(owner) * max(1, len(arguments[1])) > LARGEST
        case "join":
            if not isinstance(first, str | list | tuple):
                return True
            return len(owner) * len(first) + sum(map(len, first)) > LARGEST
        case "split" | "rsplit" | "splitlines":
            line = "\n" if isinstance(owner, str) else b"\n"
            return bool(owner.count(line if first is None or isinstance(first, bool) else first) > _MOST_ITEMS)
        case "translate":
            return not isinstance(first, bytes | None) and not isinstance(owner, str)
        case "encode" | "decode":
            return isinstance(first, str) and first.lower() not in _ENCODINGS
        case "to_bytes":
            return not isinstance(first, int) or not 0 <= first <= LARGEST
    return False


def bounded(value: Any) -> Any:
    """``value``, or unknown when it is longer than allowed."""
    return UNKNOWN if isinstance(value, str | bytes | list | tuple) and len(value) > LARGEST else value
