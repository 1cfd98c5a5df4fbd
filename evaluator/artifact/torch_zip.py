"""The zip container of ``torch.save``: checked as a description first, then read by ``torch.load(weights_only=True)``.

torch never sees the file that was submitted. It reads an archive that is written here from the records that passed
:mod:`evaluator.artifact.zip_records` and :mod:`evaluator.artifact.torch_pickle`, so the two readers cannot disagree.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any, Final

from evaluator.artifact.container import Contents, plain
from evaluator.artifact.limits import DecodeLimits
from evaluator.artifact.torch_pickle import TensorRef, describe
from evaluator.artifact.zip_records import read_records
from evaluator.refusal import Refused

PICKLE: Final = "data.pkl"


def is_torch_zip(names: list[str]) -> bool:
    """Whether a zip with records ``names`` is one that ``torch.save`` may have written."""
    return any(name.split("/")[1:] == [PICKLE] for name in names)


def read(data: bytes, limits: DecodeLimits) -> Contents:
    """Open a torch zip.

    Raises:
        Refused: every reason of :func:`read_records` and :func:`describe`; ``bad-torch-zip``: records are missing or
            misplaced, or torch itself does not take the file; ``unsupported-tensor``.
    """
    records = read_records(data, deflate=False, allowance=limits.raw_bytes)
    top, _, _ = next(iter(records)).partition("/")
    if any(not name.startswith(f"{top}/") for name in records) or f"{top}/{PICKLE}" not in records:
        raise Refused("bad-torch-zip", f"the torch zip does not keep everything in one folder with a {PICKLE}")
    if records.get(f"{top}/byteorder", b"little") != b"little":
        raise Refused("bad-torch-zip", "the torch zip is not little-endian")
    prefix = f"{top}/data/"
    sizes = {name.removeprefix(prefix): len(body) for name, body in records.items() if name.startswith(prefix)}
    described = describe(records[f"{top}/{PICKLE}"], sizes, limits)
    plain(described, _expect_tensor)
    return Contents("torch-zip", _load(_archive(top, records)))


def _expect_tensor(value: Any) -> Any:
    if not isinstance(value, TensorRef):
        raise Refused("bad-pickle", f"the artifact's object holds a {type(value).__name__.lstrip('_')}")
    return value


def _archive(top: str, records: Mapping[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, body in records.items():
            archive.writestr(f"archive/{name.removeprefix(f'{top}/')}", body)
    file.seek(0)
    return file


def _load(file: io.BytesIO) -> Any:
    import torch

    def to_array(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
            raise Refused("unsupported-tensor", f"the artifact's object holds a {type(value).__name__}")
        # numpy has neither of these; widening to float32 is exact.
        tensor = value.detach().contiguous()
        return (tensor.float() if tensor.dtype in (torch.bfloat16, torch.float8_e4m3fn) else tensor).numpy()

    try:
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises nearly anything on hostile input
        first_line = str(error).partition("\n")[0]
        raise Refused("bad-torch-zip", f"torch cannot load the file: {first_line}") from None
    return plain(loaded, to_array)


def write(tree: Any) -> bytes:
    """``torch.save`` of ``tree`` with its numpy arrays as tensors; equal trees give equal bytes."""
    import numpy as np
    import torch

    def to_tensor(value: Any) -> Any:
        return torch.from_numpy(np.array(value, order="C"))

    file = io.BytesIO()
    torch.save(plain(tree, to_tensor), file)
    return file.getvalue()
