"""The parent's side of decoding: nothing of the artifact is interpreted in this process, and torch is not imported."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from auditor.sandbox import Limits, SandboxResult, Status, run
from auditor.sandbox.blob import HEADER_BYTES
from evaluator.artifact import pgrp
from evaluator.artifact.decode_bytes import check_tensors
from evaluator.artifact.decoded import Decoded
from evaluator.artifact.limits import DecodeLimits
from evaluator.artifact.numerics import Float32
from evaluator.artifact.source import read_artifact
from evaluator.refusal import Refused, one_line

_SLUG: Final = re.compile(r"[a-z0-9-]{1,40}")
DEFAULTS: Final = DecodeLimits()
_ENDINGS: Final = {
    Status.WALL_LIMIT: ("decoder-time", "decoding took longer than {limits.wall_seconds:g} s"),
    Status.CPU_LIMIT: ("decoder-time", "decoding took longer than {limits.wall_seconds:g} s of CPU time"),
    Status.MEMORY_LIMIT: ("decoder-memory", "decoding needed more than {limits.memory_bytes:,} bytes of memory"),
    Status.PROCESS_LIMIT: ("decoder-resources", "decoding started too many processes"),
    Status.DISK_LIMIT: ("decoder-resources", "decoding wrote too much to disk"),
    Status.RESULT_LIMIT: ("tensors-too-large", "the decoded tensors exceed {limits.tensor_bytes:,} bytes"),
    Status.BAD_RESULT: ("decoder-result", "the decoder's result is malformed"),
    Status.SIGNALLED: ("decoder-crash", "the decoder crashed on this artifact"),
    Status.FAILED: ("decoder-crash", "the decoder failed on this artifact"),
}


def decode(path: Path, workdir: Path, *, limits: DecodeLimits = DEFAULTS, allow_unsandboxed: bool = False) -> Decoded:
    """Decode an artifact in a jailed child.

    Args:
        path: the artifact.
        workdir: an existing folder of ours; the child's result, checked by the sandbox to be a safetensors file
            without gaps or overlaps, is left in ``workdir/tensors.safetensors``.
        limits: bounds.
        allow_unsandboxed: decode even where no isolation works; never in CI.

    Raises:
        Refused: the artifact is not one; the reason says why.
        SandboxUnavailable: no isolation works here, and ``allow_unsandboxed`` is not set.
    """
    data = read_artifact(path, limits.file_bytes)
    if data.startswith(pgrp.MAGIC):
        limits = dataclasses.replace(limits, wall_seconds=limits.lrzip_seconds)
    file = workdir / "tensors.safetensors"
    result = run(
        "evaluator.artifact.child",
        [json.dumps(dataclasses.asdict(limits))],
        stdin=data,
        limits=Limits(
            wall_seconds=limits.wall_seconds,
            cpu_seconds=limits.wall_seconds,
            memory_bytes=limits.memory_bytes,
            result_bytes=limits.tensor_bytes + HEADER_BYTES,
        ),
        allow_unsandboxed=allow_unsandboxed,
        result_file=file,
    )
    facts, tensors = _accept(result, limits)
    return Decoded(
        tensors=file,
        shapes={name: tuple(array.shape) for name, array in tensors.items()},
        artifact_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        tier=str(result.tier),
        **facts,
    )


def _accept(result: SandboxResult, limits: DecodeLimits) -> tuple[dict[str, Any], dict[str, Float32]]:
    """Facts and tensors of a run that ended well; the child's word counts for nothing, so all is checked again."""
    if result.status is not Status.OK:
        reason, message = _ENDINGS[result.status]
        raise Refused(reason, message.format(limits=limits))
    match result.json:
        case {"refused": {"reason": str(reason), "message": str(message)}}:
            raise Refused(reason if _SLUG.fullmatch(reason) else "decoder-result", message)
        case {
            "codec": str(codec),
            "container": str(container),
            "family": str(family),
            "raw_bytes": int(raw_bytes),
            "config": (dict() | None) as config,
            "notes": list(notes),
        } if all(isinstance(note, str) for note in notes) and all(map(_SLUG.fullmatch, (codec, container, family))):
            tensors = _float32(result.arrays)
            check_tensors(tensors, limits)
            return {
                "codec": codec,
                "container": container,
                "family": family,
                "raw_bytes": raw_bytes,
                "config": config,
                "notes": tuple(map(one_line, notes)),
            }, tensors
    raise Refused("decoder-result", "the decoder's result is malformed")


def _float32(arrays: Mapping[str, npt.NDArray[np.generic]]) -> dict[str, Float32]:
    tensors: dict[str, Float32] = {}
    for name, array in arrays.items():
        if array.dtype != np.float32:
            raise Refused("decoder-result", f"the decoder sent {name!r} as {array.dtype}")
        tensors[name] = array.astype(np.float32, copy=False)
    return tensors
