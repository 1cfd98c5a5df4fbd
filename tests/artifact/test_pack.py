"""From a checkpoint through every recipe to a file, and what the file decodes to."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import storing_lrzip
import torch
from safetensors.torch import save
from test_corrections import expected

from evaluator.artifact import DecodeLimits
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.artifact.entries import Corrected, Entry, GateRows
from evaluator.artifact.numerics import Array, Quantised
from evaluator.packing.assembly import Assembly
from evaluator.packing.calibration import Calibration, calibrate
from evaluator.packing.cap import Measures
from evaluator.packing.checkpoint import Checkpoint, read_checkpoint
from evaluator.packing.groups import tensor_groups
from evaluator.packing.recipes import RECIPES, Recipe
from evaluator.packing.writing import write
from evaluator.refusal import Refused
from reference_model import GPT, GPTConfig, NameMap, state_layout

CONFIG = GPTConfig(
    vocab_size=96, model_dim=64, num_layers=3, num_heads=2, num_kv_heads=1, mlp_hidden=128, context_len=32,
    attn_gate="window", bigram_buckets=64, bigram_dim=32,
)  # fmt: skip
NAMES = NameMap({"skip_weights": "skip.weight", "blocks.{i}.attn.attn_gate_w": "blocks.{i}.attn.gate_window.weight"})
THEIRS = {ours: theirs for theirs, ours in NAMES.patterns.items()}
NOTHING = Measures(frozenset(), 0.0)
MATRICES = 3 + 6 * CONFIG.num_layers  # two tables, a projection, six maps a block


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    model, generator = GPT(CONFIG, seed=3), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    names = {name: THEIRS.get(name.replace(".1.", ".{i}."), name).replace("{i}", "1") for name in weights}
    return Checkpoint(weights, names)


@pytest.fixture(scope="module")
def calibration(checkpoint: Checkpoint) -> Calibration:
    tokens = np.random.default_rng(1).integers(0, CONFIG.vocab_size, 300).astype(np.uint16)
    return calibrate(checkpoint, CONFIG, tokens)


def small(name: str) -> Recipe:
    """The recipe, with a threshold for a small model."""
    return dataclasses.replace(RECIPES[name], smallest=2048)


def codes(entries: dict[str, Entry]) -> dict[str, Array]:
    bases = {name: entry.base if isinstance(entry, Corrected) else entry for name, entry in entries.items()}
    return {name: base.codes for name, base in bases.items() if isinstance(base, Quantised)}


@pytest.mark.parametrize("name", RECIPES)
def test_what_was_quantised_is_what_is_read(
    name: str, checkpoint: Checkpoint, calibration: Calibration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{storing_lrzip.install(tmp_path / 'bin')}:{os.environ['PATH']}")
    recipe = small(name)
    entries = Assembly(checkpoint, recipe, calibration if recipe.calibrated else None).entries(NOTHING)
    facts, tensors = decode_bytes(write(recipe, entries, checkpoint.names, CONFIG.to_mapping()), DecodeLimits())
    assert facts["family"] == recipe.container.removesuffix("-shuffled")
    assert facts["config"] == (CONFIG.to_mapping() if recipe.container == "canonical" else None)
    written = {ours: ours if recipe.container == "canonical" else theirs for ours, theirs in checkpoint.names.items()}
    assert tensors.keys() == set(written.values())
    assert len(codes(entries)) == (0 if name == "float32" else MATRICES)
    for ours, entry in entries.items():
        np.testing.assert_allclose(tensors[written[ours]], expected(entry), rtol=1e-6, atol=1e-7, err_msg=ours)
    error = sum(float(np.square(tensors[written[n]] - weight).sum()) for n, weight in checkpoint.weights.items())
    whole = sum(float(np.square(weight).sum()) for weight in checkpoint.weights.values())
    assert error < 0.03 * whole


def test_corrections_go_where_they_help_most(checkpoint: Checkpoint, calibration: Calibration) -> None:
    entries = Assembly(checkpoint, small("awq-lite"), calibration).entries(NOTHING)
    corrected = [entry for entry in entries.values() if isinstance(entry, Corrected)]
    assert sum(entry.low_rank is not None for entry in corrected) == 3
    assert sum(len(entry.groups.starts) for entry in corrected if entry.groups) == 1
    assert sum(isinstance(entry, GateRows) for entry in entries.values()) == 0  # 2 x 12 are too few
    wider = dataclasses.replace(CONFIG, attn_gate_window=32)
    model = GPT(wider, seed=1).state_dict()
    gated = Assembly(Checkpoint({n: v.numpy() for n, v in model.items()}, {}), small("lqer"), calibration)
    assert sum(isinstance(entry, GateRows) for entry in gated.entries(NOTHING).values()) == wider.num_layers


@pytest.mark.parametrize("name", ["pn", "sdclip", "gptq", "awq-lite"])
def test_narrowed_blocks_have_five_bits_and_no_others(
    name: str, checkpoint: Checkpoint, calibration: Calibration
) -> None:
    assembly = Assembly(checkpoint, small(name), calibration)
    wide, narrow = (codes(assembly.entries(Measures(frozenset(blocks), 0.0))) for blocks in ([], [1]))
    for matrix, values in narrow.items():
        if matrix.startswith("blocks.1."):
            ratio = np.abs(wide[matrix].astype(float)).sum() / np.abs(values.astype(float)).sum()
            assert 1.7 < ratio < 2.8, matrix  # 31 / 15, and what rounding to zero takes away
        else:
            np.testing.assert_array_equal(values, wide[matrix])


@pytest.mark.parametrize("name", ["pn", "searched", "gptq"])
def test_what_is_pruned_is_zero(name: str, checkpoint: Checkpoint, calibration: Calibration) -> None:
    pruned = Assembly(checkpoint, small(name), calibration).entries(Measures(frozenset(range(3)), 0.6))
    for matrix, values in codes(pruned).items():
        assert (values == 0).mean() >= 0.59, matrix


def test_groups_account_for_every_weight(checkpoint: Checkpoint, calibration: Calibration) -> None:
    groups = tensor_groups(Assembly(checkpoint, small("lqer"), calibration).entries(NOTHING))
    assert sum(group.weights for group in groups) == sum(weight.size for weight in checkpoint.weights.values())
    assert {group.name: group.bits for group in groups} == {
        "mlp": (6,), "attention": (6,), "projections": (6,), "embeddings": (7,), "kept": ()
    }  # fmt: skip
    assert all(group.entropy <= group.stored for group in groups)


def test_calibration_weighs_each_visit_of_a_block_alike(checkpoint: Checkpoint) -> None:
    """A repeated block sums up its visits; the magnitude is of one input."""
    tokens = np.random.default_rng(2).integers(0, CONFIG.vocab_size, 64).astype(np.uint16)
    found = calibrate(checkpoint, CONFIG, tokens)
    assert found.magnitudes.keys() == found.hessians.keys()
    looped = dataclasses.replace(CONFIG, loop_start=1, loop_end=1, num_loops=1)
    weights = {name: np.resize(checkpoint.weights[name], shape) for name, shape in state_layout(looped).items()}
    again = calibrate(Checkpoint(weights, {}), looped, tokens)
    # What the first block reads is normed: its magnitude is near one however often a block is visited.
    for name in ("blocks.0.attn.c_q.weight", "blocks.1.attn.c_q.weight"):
        assert 0.5 < float(again.magnitudes[name].mean()) * (2.0 if ".1." in name else 1.0) ** 0.5 < 2
    assert float(again.hessians["blocks.1.attn.c_q.weight"].trace()) > 1.5 * float(
        found.hessians["blocks.1.attn.c_q.weight"].trace()
    )


@pytest.mark.parametrize(
    ("tokens", "words"), [(np.zeros(31, np.uint16), "a window of 32"), (np.full(64, 96, np.uint16), "vocabulary")]
)
def test_calibration_tokens_that_do_not_fit(tokens: Any, words: str, checkpoint: Checkpoint) -> None:
    with pytest.raises(Refused, match=words):
        calibrate(checkpoint, CONFIG, tokens)


LAYOUT = {"tok_emb.weight": (512, 64), "blocks.0.mlp.fc.weight": (256, 64), "skip.weight": (2, 64), "scale": ()}


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(shape, generator=generator) for name, shape in LAYOUT.items()}


def as_torch(value: Any) -> bytes:
    file = BytesIO()
    torch.save(value, file)
    return file.getvalue()


def read(data: bytes, tmp_path: Path) -> Checkpoint:
    path = tmp_path / "checkpoint"
    path.write_bytes(data)
    return read_checkpoint(path, tmp_path, LAYOUT, NAMES.to_canonical)


@pytest.mark.parametrize(
    "make",
    [
        lambda: save(weights()),
        lambda: as_torch({"model": weights(), "optimizer": {"state": {0: torch.zeros(3)}}}),
        lambda: as_torch({"model_state_dict": {f"_orig_mod.module.{n}": w for n, w in weights().items()}, "step": 7}),
        lambda: save({"skip_weights" if n == "skip.weight" else n: w for n, w in weights().items()}),
    ],
)
def test_the_kind_of_checkpoint_does_not_matter(make: Callable[[], bytes], tmp_path: Path) -> None:
    found = read(make(), tmp_path)
    assert list(found.weights) == list(LAYOUT)
    for name, weight in weights().items():
        np.testing.assert_array_equal(found.weights[name], weight.numpy())
    assert NAMES.to_canonical(found.names.values()) == {theirs: ours for ours, theirs in found.names.items()}


@pytest.mark.parametrize(
    ("make", "change", "reason"),
    [
        (save, {"more": torch.zeros(3)}, "extra-tensor"),
        (save, {"skip.weight": torch.zeros(3)}, "wrong-shape"),
        (save, {"scale": torch.tensor(float("nan"))}, "not-finite"),
        (save, {"module.scale": torch.zeros(())}, "duplicate-tensor"),
        (as_torch, {"hook": torch.nn.Linear(2, 2)}, "pickle-callable"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    make: Callable[[Any], bytes], change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as refused:
        read(make(weights() | change), tmp_path)
    assert refused.value.reason == reason


def test_a_row_too_large_for_its_scale_is_refused() -> None:
    vast = Checkpoint({"blocks.0.mlp.fc.weight": np.full((256, 64), 1e30, np.float32)}, {})
    with pytest.raises(Refused, match="scale-overflow"):
        Assembly(vast, small("pn"), None).entries(NOTHING)
