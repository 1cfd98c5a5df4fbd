"""Artifacts that the published scripts write themselves, read by ours: every tensor bit for bit, the same logits.

Each script's own model, quantiser and serialiser run in the sandbox at shrunken sizes, on the CPU and in float32. They
take about two minutes together and need the mirror; without it they are skipped.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import storing_lrzip
import torch
from original_scripts import ORIGINALS, Original

from auditor.sandbox import Limits, Status, run
from evaluator.artifact import DecodeLimits
from evaluator.artifact.decode_bytes import decode_bytes
from reference_model import GPT, NameMap, load_names, state_layout

HERE = Path(__file__).parent
LOGITS = 1e-4
ROW = "{:<18}{:>8}{:>12}{:>11}{:>12}{:>15}"


@pytest.fixture
def lrzip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in that the driver uses, behind the real program."""
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{storing_lrzip.install(tmp_path / 'bin')}")


def run_original(original: Original, script: Path) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    """What the driver sends; the script runs in the sandbox."""
    job = {"script": str(script), "environment": dict(original.environment), **original.job}
    result = run(
        "original_driver",
        [json.dumps(job)],
        readable=[script],
        import_path=[HERE, HERE.parent],
        limits=Limits(wall_seconds=300, cpu_seconds=300, memory_bytes=6 << 30, file_bytes=256 << 20),
    )
    assert result.status is Status.OK, result.stderr
    return {name: np.array(array) for name, array in result.arrays.items()}


@pytest.mark.slow
@pytest.mark.usefixtures("lrzip")
@pytest.mark.parametrize("name", ORIGINALS)
def test_the_originals_artifact_is_read_alike(name: str, mirror: str, tmp_path: Path, table: list[str]) -> None:
    original = ORIGINALS[name]
    script = tmp_path / "train_gpt.py"
    original.extract(mirror, script)
    sent = run_original(original, script)
    theirs = {key.removeprefix("state."): value for key, value in sent.items() if key.startswith("state.")}

    _, ours = decode_bytes(sent["artifact"].tobytes(), DecodeLimits())
    canonical = renamed(original).to_canonical(ours)
    layout = state_layout(original.config)
    state = {canonical[key]: torch.from_numpy(value).reshape(layout[canonical[key]]) for key, value in ours.items()}
    assert state.keys() == layout.keys()
    assert ours.keys() == theirs.keys()
    differing = sum(int((ours[key] != theirs[key]).sum()) for key in ours)

    model = GPT(original.config)
    model.load_state_dict(state)
    with torch.no_grad():
        logits = model(torch.from_numpy(sent["tokens"])).numpy()
    worst = float(np.abs(logits - sent["logits"]).max())
    parameters = sum(value.size for value in ours.values())
    if not table:
        table.append(ROW.format("script", "tensors", "parameters", "differing", "bytes", "logits differ"))
    table.append(
        ROW.format(name, len(ours), f"{parameters:,}", differing, f"{sent['artifact'].size:,}", f"{worst:.1e}")
    )
    assert differing == 0
    assert worst < LOGITS
    assert np.abs(sent["logits"]).max() > 1  # the model does something


def renamed(original: Original) -> NameMap:
    """The preset's name map, its value embeddings in the shrunken model's blocks."""
    names = load_names(original.preset)
    layers = original.config.value_embed_layers
    patterns = {
        artifact: f"value_emb.layer_scale.{layers[int(artifact[-1])]}" if "layer_scales" in artifact else canonical
        for artifact, canonical in names.patterns.items()
    }
    return NameMap(patterns)
