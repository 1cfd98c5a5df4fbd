"""Logs and metadata for the rules' examples, in the form that the contest's own script prints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

FULL_TOKENS = 62_021_632
"""Validation tokens of the sp1024 split as the script rounds them down to whole sequences."""


def log(
    val_loss: float = 2.0606,
    val_bpb: float = 1.2204,
    *,
    val_tokens: int | None = FULL_TOKENS,
    train_seconds: float = 599.9,
    eval_seconds: float = 75.0,
    model_bytes: int = 15_800_000,
    code_bytes: int = 60_000,
    train_shards: int = 80,
    seed: int = 1337,
    label: str = "final_int8_zlib_roundtrip_exact",
    extra: str = "",
) -> str:
    """A training log. The defaults are consistent: loss, score and tokens imply the split's 151.08 MB."""
    tokens = "" if val_tokens is None else f"val_loader:shards pattern=fineweb_val_*.bin tokens:{val_tokens}\n"
    return (
        f"seed:{seed}\n"
        f"train_loader:dataset:fineweb10B_sp1024 train_shards:{train_shards}\n"
        f"{tokens}"
        f"step:1000/20000 train_loss:2.5 train_time:50000ms step_avg:50.0ms\n"
        f"stopping_early: wallclock_cap train_time:{train_seconds * 1000:.0f}ms step:11000/20000\n"
        f"{extra}"
        f"Code size: {code_bytes} bytes\n"
        f"Serialized model int8+zlib: {model_bytes} bytes\n"
        f"Total submission size int8+zlib: {model_bytes + code_bytes} bytes\n"
        f"{label} val_loss:{val_loss:.8f} val_bpb:{val_bpb:.8f} eval_time:{eval_seconds * 1000:.0f}ms\n"
    )


def metadata(**fields: Any) -> str:
    """A ``submission.json``; ``fields`` replace or add, None leaves out."""
    document: Mapping[str, Any] = {
        "author": "A. Author",
        "github_id": "author",
        "name": "An honest model",
        "date": "2026-04-02",
        "track": "10min_16mb",
        "val_bpb": 1.2204,
        "val_loss": 2.0606,
        "bytes_total": 15_860_000,
        **fields,
    }
    return json.dumps({key: value for key, value in document.items() if value is not None}, indent=1)


def runs(*texts: str) -> dict[str, str]:
    """Logs under the names of three seeds."""
    return {f"train_seed{seed}.log": text for seed, text in zip((1337, 42, 2025, 7), texts, strict=False)}
