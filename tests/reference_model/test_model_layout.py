"""Names, shapes and counts of tensors."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from tiny_models import SEED_SYSTEMS, configs, random_tokens, randomised

from reference_model import GPT, GPTConfig, load_preset, num_parameters, state_layout


@pytest.mark.parametrize(
    ("system", "parameters", "keys"),
    [
        ("baseline", 17_059_912, 92),
        ("pr398", 26_829_913, 116),
        ("pr779", 33_317_980, 121),
        ("pr940", 27_137_223, 149),
        ("pr1477", 35_943_513, 114),
        ("pr2140", 35_945_673, 130),
        ("pr549", 26_928_220, 121),
        ("pr1019", 27_067_484, 121),
        ("pr1394", 35_943_512, 113),
        ("pr1413", 35_943_512, 113),
        ("pr1493", 35_944_536, 113),
        ("pr1514", 35_944_536, 113),
        ("pr1855", 35_945_671, 128),
    ],
)
def test_counts_of_the_logged_systems(system: str, parameters: int, keys: int) -> None:
    config = load_preset(system)
    assert num_parameters(config) == parameters
    assert len(state_layout(config)) == keys
    with torch.device("meta"):
        model = GPT(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert len(model.state_dict()) == keys


@given(configs())
@settings(max_examples=150, deadline=None, derandomize=True)
def test_layout_is_the_state_dict(config: GPTConfig) -> None:
    with torch.device("meta"):
        state = GPT(config).state_dict()
    assert [(name, tuple(value.shape)) for name, value in state.items()] == list(state_layout(config).items())


@pytest.mark.parametrize("system", SEED_SYSTEMS)
def test_seed_systems_run_at_tiny_size(system: str) -> None:
    config = replace(
        SEED_SYSTEMS[system], vocab_size=41, model_dim=32, mlp_hidden=48, num_heads=8, rope_dims=4, bigram_dim=8
    )
    if config.num_kv_heads == 8:
        config = replace(config, value_embed_dim=8)
    logits = randomised(config)(random_tokens(config, 2, 9))
    assert logits.shape == (2, 9, 41)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    assert logits.abs().max() < 45


def test_two_records_canonical_names_and_shapes() -> None:
    layout = state_layout(SEED_SYSTEMS["pr1477"])
    assert layout["skip.gate"] == (7, 512)
    assert layout["parallel.merge"] == ()
    assert layout["blocks.10.attn.c_k.weight"] == (256, 512)
    layout = state_layout(SEED_SYSTEMS["pr2140"])
    assert layout["smear_dyn.weight"] == (1, 12)
    assert layout["parallel.post"] == (11, 2, 2)
    assert layout["blocks.0.attn.gate_window.weight"] == (8, 12)
    layout = state_layout(SEED_SYSTEMS["pr779"])
    assert layout["value_emb.layer_scale.9"] == (1,)
    assert layout["value_emb.proj.weight"] == (512, 128)


def test_describing_a_model_does_not_import_torch() -> None:
    code = (
        "import sys, reference_model as r; "
        "r.num_parameters(r.load_preset('mini')); r.load_names('mini'); r.load_train_settings('mini'); "
        "assert 'torch' not in sys.modules; r.GPT; assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
