"""The whole of ``evaluate pack`` on a small model: the cap, calibration, refusals."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from evaluator.packing import command
from evaluator.packing.cap import PRUNED
from evaluator.packing.command import PackOptions, pack_checkpoint
from evaluator.packing.recipes import RECIPES
from evaluator.refusal import Refused
from reference_model import GPT, GPTConfig, load_preset
from rules.contest.shards import shard_path, write_shard

CONFIG = """\
model_dim = 64
num_layers = 3
mlp_hidden = 128
vocab_size = 128
context_len = 64
bigram_buckets = 0
xsa_last_n = 3
"""


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackOptions:
    """A small checkpoint, and recipes that quantise small matrices."""
    small = {name: dataclasses.replace(recipe, smallest=2048) for name, recipe in RECIPES.items()}
    monkeypatch.setattr(command, "RECIPES", small)
    config = GPTConfig.from_mapping({**load_preset("mini").to_mapping(), **tomllib.loads(CONFIG)})
    torch.manual_seed(0)
    state = {name: value + 0.05 * torch.randn(value.shape) for name, value in GPT(config, seed=1).state_dict().items()}
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "data").mkdir()
    write_shard(shard_path(tmp_path / "data", "train"), np.random.default_rng(0).integers(0, 128, 500))
    return PackOptions(
        tmp_path / "model.safetensors", "mini", tmp_path / "config.toml", output=tmp_path / "out.ptz",
        training=tmp_path / "data",
    )  # fmt: skip


def test_what_fits_gives_up_nothing_and_what_does_not_gives_up_just_enough(options: PackOptions) -> None:
    free = pack_checkpoint(dataclasses.replace(options, recipe="gptq"))
    assert str(free.measures) == "nothing given up"
    tight = pack_checkpoint(dataclasses.replace(options, recipe="gptq", cap=free.artifact_bytes - 1))
    assert (tight.measures.narrowed, tight.measures.prune) == (frozenset([1]), 0.0)
    assert options.output.stat().st_size == tight.artifact_bytes < free.artifact_bytes
    assert "5 bits in block 1" in str(tight)
    tightest = pack_checkpoint(dataclasses.replace(options, recipe="gptq", cap=int(0.75 * free.artifact_bytes)))
    assert tightest.measures.narrowed == frozenset(range(3))
    assert tightest.measures.prune in PRUNED


def test_what_cannot_fit_is_refused_in_one_line_and_not_written(options: PackOptions) -> None:
    with pytest.raises(Refused, match="more than the cap of 9,000") as refused:
        pack_checkpoint(dataclasses.replace(options, recipe="sdclip", cap=9_000))
    assert refused.value.reason == "over-cap"
    assert "\n" not in refused.value.message
    assert not options.output.exists()


def test_the_bytes_of_the_code_count(options: PackOptions, tmp_path: Path) -> None:
    free = pack_checkpoint(dataclasses.replace(options, recipe="pn"))
    code = tmp_path / "train_gpt.py"
    code.write_bytes(bytes(1000))
    exact = dataclasses.replace(options, recipe="pn", code=(code,), cap=free.artifact_bytes + 1000)
    assert str(pack_checkpoint(exact).measures) == "nothing given up"
    assert str(pack_checkpoint(dataclasses.replace(exact, cap=exact.cap - 1)).measures) != "nothing given up"  # type: ignore[operator]


def test_calibration_reads_training_shards_and_nothing_else(options: PackOptions, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="learns from training tokens") as refused:
        pack_checkpoint(dataclasses.replace(options, recipe="gptq", training=None))
    assert refused.value.reason == "no-calibration"
    only_validation = tmp_path / "validation"
    only_validation.mkdir()
    write_shard(shard_path(only_validation, "val"), np.zeros(500, np.uint16))
    with pytest.raises(Refused) as refused:
        pack_checkpoint(dataclasses.replace(options, recipe="gptq", training=only_validation))
    assert refused.value.reason == "no-shards"


def test_a_loss_needs_the_tokenizer(options: PackOptions, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="--tokenizer"):
        pack_checkpoint(dataclasses.replace(options, data=tmp_path / "data"))
