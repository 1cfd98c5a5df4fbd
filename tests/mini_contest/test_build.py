from __future__ import annotations

import dataclasses
import platform
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file

from evaluator.artifact.decoding import decode
from evaluator.manifest import read_manifest
from evaluator.stream import open_stream
from evaluator.verify import verify_stream
from mini_contest.__main__ import main
from mini_contest.build import build, finished
from mini_contest.settings import BuildSettings
from reference_model import GPT, load_preset, state_layout
from rules.contest.completeness import Coverage
from rules.contest.profile import load_profile
from rules.contest.shards import find_shards, read_shard

TINY = BuildSettings(fraction=0.02, steps=1, threads=1)
"""As little as trains at all: one step on a fiftieth of the corpus."""


def test_the_tiny_contest_is_a_complete_and_exact_data_set(tiny_contest: Path) -> None:
    data = tiny_contest / "data"
    stream = open_stream(data, data / "tokenizer.model", load_profile("mini"))
    facts = verify_stream(stream)
    assert facts.completeness.coverage is Coverage.COMPLETE
    assert facts.text_bytes == facts.credited_bytes
    assert stream.tokenizer.vocab_size <= 1024
    assert 5_000 < len(stream.tokens) < 25_000


def test_no_validation_document_is_in_train(tiny_contest: Path) -> None:
    data = tiny_contest / "data"
    manifest = open_stream(data, data / "tokenizer.model", load_profile("mini")).manifest
    assert manifest is not None
    assert manifest.train is not None
    assert set(manifest.train.document_digests).isdisjoint(manifest.val.document_digests)
    assert len(read_shard(find_shards(data, "train")[0])) == manifest.train.tokens


def test_the_artifact_is_one_that_the_evaluator_reads(tiny_contest: Path, tmp_path: Path) -> None:
    decoded = decode(tiny_contest / "artifact.ptz", tmp_path)
    assert decoded.family == "wm"
    layout = state_layout(load_preset("mini"))
    assert {name: tuple(shape) for name, shape in decoded.shapes.items()} == {
        name: tuple(shape) for name, shape in layout.items()
    }
    assert decoded.artifact_bytes < load_profile("mini").caps.total_bytes


def test_the_manifest_beside_the_artifact_says_how_to_score_it(tiny_contest: Path) -> None:
    manifest, path = read_manifest(tiny_contest / "artifact.ptz")
    assert path is not None
    assert (manifest.contest, manifest.preset, manifest.eval_preset) == ("mini", "mini", None)
    assert manifest.data is not None
    assert manifest.tokenizer is not None
    assert (path.parent / manifest.data).is_dir()
    assert (path.parent / manifest.tokenizer).is_file()


def test_a_build_is_repeatable_found_again_and_made_anew_on_demand(tmp_path: Path) -> None:
    first = build(tmp_path / "a", TINY)
    again = build(tmp_path / "b", TINY)
    assert (first.artifact_sha256, first.tokens_sha256) == (again.artifact_sha256, again.tokens_sha256)
    for name in ("artifact.ptz", "artifact.manifest.json", "data/dataset.json", "data/tokenizer.model"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()

    assert build(tmp_path / "a", TINY) == first  # seconds and all: nothing was made
    (tmp_path / "a" / "artifact.ptz").write_bytes(b"damaged")
    assert finished(tmp_path / "a", TINY) is None
    assert finished(tmp_path / "b", dataclasses.replace(TINY, seed=2)) is None
    assert build(tmp_path / "a", TINY).artifact_sha256 == first.artifact_sha256
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_folder_that_no_build_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    outcome = CliRunner().invoke(main, ["build", "--out", str(tmp_path), "--force"])
    assert outcome.exit_code == 1
    assert "is not empty" in outcome.output
    assert (tmp_path / "precious").exists()


def test_the_key_names_python_and_every_setting() -> None:
    others = (dataclasses.replace(TINY, seed=2), dataclasses.replace(TINY, steps=2), BuildSettings())
    assert len({settings.key() for settings in (TINY, *others)}) == 4
    assert platform.python_version() in TINY.key()


def test_the_demo_artifact_reaches_its_score(tmp_path: Path) -> None:
    """Scored in the simplest way there is: windows that do not overlap, no adaptation, no mixer."""
    folder = Path(__file__).resolve().parents[2] / "build" / "mini"
    record = finished(folder, BuildSettings())
    if record is None:
        pytest.skip(f"no finished build in {folder.name}: make demo")
    config = load_preset("mini")
    model = GPT(config)
    weights = load_file(decode(folder / "artifact.ptz", tmp_path).tensors)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    stream = open_stream(folder / "data", folder / "data" / "tokenizer.model", load_profile("mini"))
    length = config.context_len
    rows = stream.positions // length
    ids = torch.from_numpy(stream.tokens[: rows * length + 1].astype(np.int64))
    inputs, targets = ids[:-1].view(rows, length), ids[1:].view(rows, length)
    with torch.inference_mode():
        nats = sum(
            float(model(inputs[row : row + 16], targets[row : row + 16])) * targets[row : row + 16].numel()
            for row in range(0, rows, 16)
        )
    credited = int(stream.credited[: rows * length].sum(dtype=np.int64))
    assert nats / np.log(2) / credited <= 2.4
