"""For programs inside the sandbox: hand the result to the harness."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from auditor.sandbox.blob import encode_header
from auditor.sandbox.launch import RESULT_FD


def send(value: Any = None, arrays: Mapping[str, npt.NDArray[np.generic]] | None = None) -> None:
    """Send ``value`` (strict JSON) and ``arrays`` to the harness; once, then the channel is closed.

    Arrays stream from where they lie: nothing is copied but non-contiguous ones.

    Raises:
        ValueError: ``value`` is not strict JSON (NaN and infinity are not) or a dtype has no safetensors name.
        OSError: no harness listens (not run by ``auditor.sandbox.run``), or ``send`` was called before.
    """
    contiguous = {name: np.asarray(array, order="C") for name, array in (arrays or {}).items()}
    layout = {name: (array.dtype, array.shape) for name, array in contiguous.items()}
    header = encode_header(layout, json.dumps(value, allow_nan=False))
    with os.fdopen(RESULT_FD, "wb", buffering=0) as pipe:
        _write_all(pipe.fileno(), memoryview(header))
        for array in contiguous.values():
            _write_all(pipe.fileno(), array.reshape(-1).view(np.uint8).data)


def _write_all(descriptor: int, view: memoryview) -> None:
    while view:
        view = view[os.write(descriptor, view) :]
