"""Small honest artifacts of every kind: what the hostile files are made from, and must be told apart from."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np

from evaluator.artifact import byteshuffle, codecs, safetensors_file, torch_zip
from evaluator.artifact.families import canonical, clean_dict, pgrp, plain, research_export, wm
from evaluator.artifact.numerics import Array, Float32, Quantised, Storable

_RNG = np.random.default_rng(20260726)

TENSORS: dict[str, Storable] = {
    "tok_emb.weight": Quantised(
        _RNG.integers(-31, 32, (16, 8), dtype=np.int8), (_RNG.random(16) + 0.01).astype(np.float16), 6
    ),
    "blocks.0.attn.c_q.weight": Quantised(
        _RNG.integers(-127, 128, (8, 8), dtype=np.int8), np.array(0.003, np.float32), 8
    ),
    "blocks.0.attn_scale": _RNG.standard_normal(8).astype(np.float16),
    "bigram.scale": np.array(0.25, np.float32),
}
"""Two quantised tensors (scales per row and for all), a kept fp16 one, and a parameter whose name ends in .scale."""

CONFIG = {"vocab_size": 16, "model_dim": 8}


def dense(tensors: dict[str, Storable]) -> dict[str, Float32]:
    """What decoding must give, computed by the formula."""
    return {
        name: value.codes.astype(np.float32)
        * (value.scale.astype(np.float32).reshape(-1, 1) if value.scale.ndim else np.float32(value.scale))
        if isinstance(value, Quantised)
        else value.astype(np.float32)
        for name, value in tensors.items()
    }


EXPECTED = dense(TENSORS)


def npz(arrays: dict[str, Array] | None = None, *, deflate: bool = False) -> bytes:
    """An npz of ``arrays``, or of the control tensors."""
    file = io.BytesIO()
    save = np.savez_compressed if deflate else np.savez
    save(file, allow_pickle=True, **(arrays if arrays is not None else plain.split(TENSORS)))
    return file.getvalue()


def _wm(codec: str) -> Callable[[], bytes]:
    return lambda: wm.write(TENSORS, codec=codec)


CONTROLS: dict[str, Callable[[], bytes]] = {
    **{f"wm, shuffled, {codec}": _wm(codec) for codec in codecs.CODECS},
    "wm, plain": lambda: wm.write(TENSORS, codec="none", shuffle=False),
    "wm, typed meta": lambda: wm.write(TENSORS, codec="zlib", shuffle=False, meta="type"),
    "wm, two-byte stride": lambda: byteshuffle.shuffle(CONTROLS["wm, plain"](), wide=True),
    "pgrp, named": lambda: pgrp.write(TENSORS, 2, with_lrzip=False),
    "clean dict": lambda: clean_dict.write(TENSORS),
    "clean dict, zlib": lambda: codecs.compress(clean_dict.write(TENSORS), "zlib"),
    "numpy pickle": lambda: clean_dict.write_pickle(TENSORS),
    "research export": lambda: research_export.write(TENSORS),
    "flat file": lambda: wm.write_flat(TENSORS),
    "safetensors": lambda: plain.write(TENSORS),
    "safetensors, #119": lambda: plain.write(TENSORS, (".__q", ".__scale")),
    "npz": npz,
    "npz, deflated": lambda: npz(deflate=True),
    "torch state dict": lambda: torch_zip.write(dict(EXPECTED)),
    "canonical": lambda: canonical.write(TENSORS, CONFIG),
}
"""Honest artifacts by name; each decodes to EXPECTED."""


def canonical_raw(metadata: dict[str, str], arrays: dict[str, Array] | None = None) -> bytes:
    """A canonical artifact with any metadata, uncompressed."""
    return safetensors_file.write(plain.split(TENSORS) if arrays is None else arrays, metadata)
