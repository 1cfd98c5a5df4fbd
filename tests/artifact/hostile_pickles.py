"""Hostile pickles: callables, numpy objects, storages and views that lie."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pickle_assembler as asm
import torch
from hostile import Group


def _saved(value: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **options)
    return file.getvalue()


def _sparse() -> bytes:
    return _saved({"w": torch.sparse_coo_tensor(torch.tensor([[0, 1]]), torch.ones(2), (3,), check_invariants=True)})


def _quantised() -> bytes:
    body = asm.call("torch._utils", "_rebuild_qtensor", asm.storage(16, kind="QInt8Storage"))
    return asm.weights(body)


def _numpy_inside() -> bytes:
    return _saved({"w": np.zeros(3)})


def _laughs() -> bytes:
    """A list of ten of the same list of ten ... seven levels deep."""
    body = b"]q\x00"
    for level in range(1, 8):
        body += b"0](" + (b"h" + bytes([level - 1])) * 10 + b"eq" + bytes([level])
    return asm.torch_zip_of(asm.dictionary(w=body))


calls = Group("wm, plain")
for _module, _name in [
    ("os", "system"),
    ("posix", "system"),
    ("subprocess", "Popen"),
    ("builtins", "eval"),
    ("builtins", "exec"),
    ("__builtin__", "eval"),
    ("builtins", "getattr"),
    ("importlib", "import_module"),
    ("functools", "partial"),
    ("operator", "attrgetter"),
    ("copyreg", "_reconstructor"),
    ("pickle", "loads"),
    ("torch", "load"),
    ("torch.hub", "load"),
    ("torch.serialization", "load"),
    ("torch.utils.data", "DataLoader"),
    ("torch.nn.modules.linear", "Linear"),
    ("torch._utils", "_import_dotted_name"),
    ("collections", "defaultdict"),
]:
    calls.add("pickle-callable", f"{_module}.{_name}", asm.weights(asm.call(_module, _name, asm.text("id > /tmp/x"))))
calls.add(
    "pickle-callable",
    "getattr(os, 'system')('id') in a tensor's arguments",
    asm.weights(
        asm.call(
            "torch._utils",
            "_rebuild_tensor_v2",
            asm.call("builtins", "getattr", asm.name("os", "system"), asm.text("__call__")),
        )
    ),
)
calls.add("pickle-callable", "a callable that is named, not called", asm.weights(asm.name("os", "system")))
calls.add("pickle-callable", "INST", asm.weights(b"(" + asm.text("id") + b"ios\nsystem\n"))
calls.add("pickle-callable", "OBJ", asm.weights(b"(" + asm.name("os", "system") + asm.text("id") + b"o"))
calls.add(
    "pickle-callable",
    "STACK_GLOBAL",
    asm.weights(asm.text("os") + asm.text("system") + b"\x93" + asm.tuple_of() + b"R"),
)
calls.add("pickle-callable", "NEWOBJ", asm.weights(asm.name("os", "_wrap_close") + asm.tuple_of() + b"\x81"))
calls.add("bad-pickle", "unregistered extension", asm.weights(b"\x82\x07"))
calls.add(
    "pickle-callable",
    "bytes through another codec",
    asm.weights(asm.call("_codecs", "encode", asm.text("00"), asm.text("hex"))),
)
calls.add("pickle-callable", "a pickled module", lambda: _saved(torch.nn.Linear(2, 2)))
calls.add("numpy-pickle", "numpy array in a torch zip", _numpy_inside)
calls.add("numpy-pickle", "numpy scalar in a torch zip", lambda: _saved({"w": np.float32(1)}))
calls.add("bare-pickle", "os.system in a bare pickle", asm.program(asm.call("os", "system", asm.text("id"))))
calls.add("bare-pickle", "an array of objects in a bare pickle", lambda: pickle.dumps({"w": np.array([{}])}, 5))
calls.add("bare-pickle", "an array of strings in a bare pickle", lambda: pickle.dumps({"w": np.array(["a"])}, 4))
calls.add("bare-pickle", "a big-endian array in a bare pickle", lambda: pickle.dumps({"w": np.zeros(3, ">f4")}, 5))
calls.add("bare-pickle", "a list in a bare pickle", lambda: pickle.dumps([np.zeros(3)], 5))
calls.add("bare-pickle", "a second pickle behind the first", lambda: 2 * pickle.dumps({"w": np.zeros(3)}, 5))
calls.add("bare-pickle", "numpy's own type as a value", lambda: pickle.dumps({"w": np.ndarray}, 5))
calls.add("bad-pickle", "a bare pickle cut off", lambda: pickle.dumps({"w": np.zeros(3)}, 4)[:-9])
calls.add(
    "storage-range",
    "an array in a bare pickle larger than its bytes",
    lambda: pickle.dumps({"w": np.zeros(3, np.float32)}, 4).replace(b"K\x03\x85", b"K\x04\x85"),
)
calls.add(
    "bare-pickle",
    "torch's format of before 1.6",
    lambda: _saved({"w": torch.zeros(3)}, _use_new_zipfile_serialization=False),
)
calls.add("bad-pickle", "pickle without STOP", lambda: asm.zip_of({"archive/data.pkl": b"\x80\x02}"}))
calls.add("bad-pickle", "empty pickle", lambda: asm.zip_of({"archive/data.pkl": b""}))
calls.add("bad-pickle", "pickle of noise", lambda: asm.zip_of({"archive/data.pkl": bytes(range(1, 99))}))
calls.add("bad-pickle", "memo index of 2 billion", asm.weights(b"Nr\xff\xff\xff\x7f"), jail=True)
calls.add("bad-pickle", "string that claims 4 GB", asm.weights(b"X\xff\xff\xff\xff"))
calls.add("bad-pickle", "storage type as a value", asm.weights(asm.name("torch", "FloatStorage")))
calls.add("bad-pickle", "persistent id that is a string", asm.weights(asm.text("0") + b"Q"))
calls.add("bad-pickle", "state set on a tensor", asm.weights(asm.tensor((16,), (1,)) + asm.numbers(1, 2) + b"b"))
calls.add(
    "bad-pickle",
    "tensor without a storage",
    asm.weights(asm.call("torch._utils", "_rebuild_tensor_v2", *[asm.number(0)] * 6)),
)
calls.add("cyclic", "dictionary that contains itself", asm.torch_zip_of(b"}q\x00" + asm.text("w") + b"h\x00s"))
calls.add("too-deep", "list of list of ... of 40", asm.weights(b"]" * 40 + b"a" * 39))
calls.add("too-many-values", "billion laughs", _laughs)
calls.add("bad-tree", "dictionary with a tuple as key", asm.torch_zip_of(b"}" + asm.numbers(1, 2) + b"Ns"))
calls.add("unsupported-family", "a list at the top", asm.torch_zip_of(b"]" + asm.tensor((16,), (1,)) + b"a"))
calls.add("unsupported-family", "a tensor at the top", asm.torch_zip_of(asm.tensor((16,), (1,))))
calls.add("no-tensors", "an empty dictionary", asm.torch_zip_of(b"}"))

views = Group("torch state dict")
views.add("unsupported-tensor", "sparse tensor", _sparse)
views.add("unsupported-tensor", "quantised torch tensor", _quantised)
views.add("unsupported-tensor", "complex tensor", lambda: _saved({"w": torch.zeros(3, dtype=torch.complex64)}))
views.add("unsupported-tensor", "tensor on the meta device", lambda: _saved({"w": torch.zeros(3, device="meta")}))
views.add("storage-missing", "storage that is not in the file", asm.weights(asm.tensor((16,), (1,), key="7")))
views.add("storage-range", "storage longer than its record", asm.weights(asm.tensor((16,), (1,), count=1 << 28)))
views.add("storage-range", "storage of a negative length", asm.weights(asm.tensor((16,), (1,), count=-16)))
views.add("storage-range", "storage of another type", asm.weights(asm.tensor((16,), (1,), kind="DoubleStorage")))
views.add("storage-range", "view longer than its storage", asm.weights(asm.tensor((17,), (1,))))
views.add("storage-range", "view of 2**40 elements", asm.weights(asm.tensor((1 << 20, 1 << 20), (1 << 20, 1))))
views.add("storage-range", "view that starts past its storage", asm.weights(asm.tensor((16,), (1,), first=1)))
views.add("storage-range", "view at a negative offset", asm.weights(asm.tensor((4,), (1,), first=-4)))
views.add("storage-range", "negative stride", asm.weights(asm.tensor((4,), (-1,), first=8)))
views.add("storage-range", "negative size", asm.weights(asm.tensor((-4,), (1,))))
views.add("storage-range", "more strides than sizes", asm.weights(asm.tensor((4,), (1, 1))))
views.add("storage-range", "nine dimensions", asm.weights(asm.tensor((1,) * 9, (1,) * 9)))
views.add("overlapping-storage", "stride 0: one number as a billion", asm.weights(asm.tensor((1 << 30,), (0,))))
views.add("overlapping-storage", "rows that share elements", asm.weights(asm.tensor((4, 4), (3, 1))))
views.add(
    "overlapping-storage",
    "two tensors that share half",
    asm.torch_zip_of(asm.dictionary(a=asm.tensor((8,), (1,)), b=asm.tensor((8,), (1,), first=4))),
)
views.add(
    "too-many-tensors",
    "30,000 tensors of one number",
    lambda: asm.torch_zip_of(asm.dictionary(**{str(i): asm.tensor((1,), (1,)) for i in range(30_000)})),
)
views.add(
    "tensors-too-large",
    "one storage, viewed as 1.5 GB of weights",
    lambda: asm.torch_zip_of(
        b"}q\x01"
        + asm.tensor((1 << 24,), (1,), count=1 << 24, kind="CharStorage")
        + b"q\x020h\x01("
        + b"".join(
            asm.text(str(i)) + asm.tensor((1 << 24,), (1,), count=1 << 24, kind="CharStorage") for i in range(24)
        )
        + b"u",
        {"0": bytes(1 << 24)},
    ),
)

GROUPS = [calls, views]
