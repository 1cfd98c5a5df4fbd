"""The pickle inside a torch zip, read as a description: which tensors it would build, from which bytes.

This comes before ``torch.load``, which trusts two things that a hostile file can lie about: it does not compare a
storage's declared length with the bytes of its record (a longer one reads past the buffer), and it builds views that
share bytes, so that one byte can claim to be a gigabyte. The unpickler here can make only dictionaries, tuples and
:class:`TensorRef`; every other global is refused by name, before anything is called.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, Final, NoReturn

from evaluator.artifact.limits import DecodeLimits
from evaluator.refusal import Refused

ITEM_SIZES: Final = {
    "FloatStorage": 4,
    "DoubleStorage": 8,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "ByteStorage": 1,
    "CharStorage": 1,
    "ShortStorage": 2,
    "IntStorage": 4,
    "LongStorage": 8,
    "BoolStorage": 1,
    "UntypedStorage": 1,
}
"""Bytes per element of the storages that an artifact may hold."""

FLOAT8: Final = "float8_e4m3fn"
"""The one element type that comes in an untyped storage: it has no storage class of its own, and takes one byte."""


DIMENSIONS: Final = 8
"""Most axes of a tensor."""


@dataclass(frozen=True, slots=True)
class StorageRef:
    """A storage as the pickle declares it: record ``key``, element type, bytes per element, number of elements."""

    key: str
    kind: str
    item_size: int
    count: int

    def __setstate__(self, state: object) -> NoReturn:
        _refuse_state()


@dataclass(frozen=True, slots=True)
class TensorRef:
    """A tensor as the pickle declares it, checked to lie within its storage and to use no element twice."""

    storage: StorageRef
    first: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, state: object) -> NoReturn:
        _refuse_state()

    @property
    def count(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def extent(self) -> tuple[int, int]:
        """The bytes of the storage's record that the tensor spans, as a half-open range."""
        last = self.first + sum((size - 1) * step for size, step in zip(self.shape, self.stride, strict=True))
        return self.first * self.storage.item_size, (last + 1) * self.storage.item_size


def describe(pickled: bytes, records: Mapping[str, int], limits: DecodeLimits) -> Any:
    """Read ``pickled`` into dictionaries, lists, plain values and :class:`TensorRef`.

    Args:
        pickled: the record ``data.pkl``.
        records: size in bytes of each storage record, by key.
        limits: bounds on the number of tensors and their size as float32.

    Raises:
        Refused: ``pickle-callable``, ``numpy-pickle``, ``unsupported-tensor``, ``bad-pickle``, ``storage-missing``,
            ``storage-range``, ``overlapping-storage``, ``too-many-tensors`` or ``tensors-too-large``.
    """
    reader = _Reader(pickled, records, limits)
    with refusing_pickle():
        tree = reader.load()
    _refuse_overlaps(reader.tensors)
    return tree


class _Reader(pickle.Unpickler):
    def __init__(self, pickled: bytes, records: Mapping[str, int], limits: DecodeLimits) -> None:
        super().__init__(io.BytesIO(pickled), encoding="utf-8")
        self._records = records
        self._limits = limits
        self._bytes = 0
        self.tensors: list[TensorRef] = []
        self._makers: Mapping[tuple[str, str], Callable[..., Any]] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch", "Size"): tuple,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v3"): self._float8,
            ("torch._utils", "_rebuild_parameter"): self._parameter,
            ("_codecs", "encode"): latin1_bytes,
        }

    def find_class(self, module: str, name: str) -> Any:
        """Resolve one of the few globals that a file of tensors needs; refuse all others."""
        if (module, name) in self._makers:
            return self._makers[module, name]
        if name in ITEM_SIZES and module == ("torch.storage" if name == "UntypedStorage" else "torch"):
            return _StorageType(name)
        if (module, name) == ("torch", FLOAT8):
            return _FLOAT8
        return _refuse_global(module, name)

    def persistent_load(self, pid: Any) -> StorageRef:
        """Turn ``("storage", type, key, location, count)`` into a reference, checked against the record."""
        match pid:
            case ("storage", _StorageType(kind), str(key), str(), int(count)):
                pass
            case _:
                raise Refused("bad-pickle", "the artifact's pickle refers to something that is no storage")
        if key not in self._records:
            raise Refused("storage-missing", f"storage {key!r} is not in the file")
        reference = StorageRef(key, kind, ITEM_SIZES[kind], count)
        if count < 0 or count * reference.item_size != self._records[key]:
            raise Refused(
                "storage-range",
                f"storage {key!r} declares {count} elements of {reference.item_size} bytes, "
                f"its record has {self._records[key]} bytes",
            )
        return reference

    def _tensor(
        self, storage: Any, first: Any, shape: Any, stride: Any, _requires_grad: Any, _hooks: Any, *_more: Any
    ) -> TensorRef:
        if isinstance(storage, StorageRef) and storage.kind == "UntypedStorage":
            raise Refused("unsupported-tensor", "a tensor of no declared type lies in an untyped storage")
        return self._make(storage, first, shape, stride)

    def _make(self, storage: Any, first: Any, shape: Any, stride: Any) -> TensorRef:
        if not (isinstance(storage, StorageRef) and isinstance(first, int) and _ints(shape) and _ints(stride)):
            raise Refused("bad-pickle", "a tensor is declared with something other than a storage and integers")
        tensor = TensorRef(storage, first, tuple(shape), tuple(stride))
        _check_view(tensor)
        self._bytes += 4 * tensor.count
        self.tensors.append(tensor)
        if len(self.tensors) > self._limits.tensors:
            raise Refused("too-many-tensors", f"the artifact holds more than {self._limits.tensors:,} tensors")
        if self._bytes > self._limits.tensor_bytes:
            raise Refused("tensors-too-large", f"the tensors exceed {self._limits.tensor_bytes:,} bytes as float32")
        return tensor

    def _float8(
        self, storage: Any, first: Any, shape: Any, stride: Any, grad: Any, hooks: Any, *more: Any
    ) -> TensorRef:
        untyped = isinstance(storage, StorageRef) and storage.kind == "UntypedStorage"
        if not untyped or not more or more[0] is not _FLOAT8:
            raise Refused("unsupported-tensor", f"an untyped storage holds something other than {FLOAT8}")
        return self._make(storage, first, shape, stride)

    def _parameter(self, data: Any, _requires_grad: Any, _hooks: Any) -> Any:
        return data


@contextmanager
def refusing_pickle() -> Iterator[None]:
    """Turn whatever the C unpickler raises on hostile input, nearly anything, into a refusal."""
    try:
        yield
    except Refused:
        raise
    except RecursionError:
        raise Refused("too-deep", "the artifact's pickle is nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - the C unpickler raises nearly anything
        raise Refused("bad-pickle", f"the artifact's pickle cannot be read: {type(error).__name__}: {error}") from None


def latin1_bytes(text: Any, encoding: Any) -> bytes:
    """What ``_codecs.encode`` stands for, with which pickles before protocol 3 spell bytes.

    Raises:
        Refused: ``pickle-callable``: another codec.
    """
    if not isinstance(text, str) or encoding not in {"latin1", "latin-1"}:
        raise Refused("pickle-callable", "the pickle calls a codec other than latin-1 on text")
    return text.encode("latin1")


@dataclass(frozen=True, slots=True)
class _StorageType:
    kind: str

    def __setstate__(self, state: object) -> NoReturn:
        _refuse_state()


_FLOAT8: Final = object()  # what the pickle's reference to the type stands for


def _refuse_state() -> NoReturn:
    # Pickle's BUILD would otherwise change a reference after it was checked.
    raise Refused("bad-pickle", "the pickle sets the state of a tensor or storage")


def _ints(values: Any) -> bool:
    return isinstance(values, tuple) and all(type(value) is int for value in values)


def _refuse_global(module: str, name: str) -> NoReturn:
    if module.split(".", maxsplit=1)[0] == "numpy":
        raise Refused("numpy-pickle", f"the pickle holds numpy objects ({module}.{name}); save tensors instead")
    if (module == "torch" and name.endswith("Storage")) or (module == "torch._utils" and name.startswith("_rebuild_")):
        raise Refused("unsupported-tensor", f"the pickle holds a kind of tensor that weights are not: {module}.{name}")
    raise Refused("pickle-callable", f"the pickle refers to {module}.{name}, which no file of tensors needs")


def _check_view(tensor: TensorRef) -> None:
    view = f"a tensor of shape {list(tensor.shape)}, strides {list(tensor.stride)} and offset {tensor.first}"
    if len(tensor.shape) != len(tensor.stride) or len(tensor.shape) > DIMENSIONS:
        raise Refused("storage-range", f"{view} is not one of at most {DIMENSIONS} axes with a stride each")
    if min((tensor.first, *tensor.shape, *tensor.stride)) < 0:
        raise Refused("storage-range", f"{view} has a negative number among them")
    if tensor.count == 0:
        return
    if tensor.extent[1] > tensor.storage.count * tensor.storage.item_size:
        raise Refused("storage-range", f"{view} reaches past its storage of {tensor.storage.count} elements")
    spanned = 1
    for step, size in sorted(zip(tensor.stride, tensor.shape, strict=True)):
        if size > 1:
            if step < spanned:
                raise Refused("overlapping-storage", f"{view} uses an element twice")
            spanned += step * (size - 1)


def _refuse_overlaps(tensors: Sequence[TensorRef]) -> None:
    """Two tensors may have one range of bytes in common (tied weights) or none, but never a part of it."""
    previous: TensorRef | None = None
    for tensor in sorted((t for t in tensors if t.count), key=lambda t: (t.storage.key, t.extent)):
        if (
            previous is not None
            and previous.storage.key == tensor.storage.key
            and previous.extent != tensor.extent
            and tensor.extent[0] < previous.extent[1]
        ):
            raise Refused("overlapping-storage", f"the ranges of two tensors in storage {tensor.storage.key!r} overlap")
        previous = tensor
