"""Where a score was computed: software versions and hardware, for the scorecard. Not part of any digest."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def environment(device: str) -> dict[str, str]:
    """Versions and hardware, as text; nothing that names a person or a host."""
    facts = {
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "numba", "sentencepiece")},
        "machine": platform.machine(),
        "kernel": platform.release().split("-")[0],
        "cpu": _cpu(),
        "device": device,
    }
    gpus = gpu_names()
    if gpus:
        facts["gpus"] = ", ".join(gpus)
    return facts


def gpu_names() -> list[str]:
    """Names of the GPUs that the driver shows, empty without any; asks the driver's files, not torch."""
    names: list[str] = []
    for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        lines = information.read_text(encoding="utf-8", errors="replace").splitlines()
        names.extend(line.removeprefix("Model:").strip() for line in lines if line.startswith("Model:"))
    return names


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def default_processes() -> int:
    """One process per GPU, else one per core up to four (the digest is the same for any number)."""
    return len(gpu_names()) or min(len(os.sched_getaffinity(0)), 4)
