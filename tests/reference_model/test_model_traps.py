"""The traps of mapping one system's artifact to another's model: near-identical names, equal shapes, unused rows."""

from __future__ import annotations

import pytest
import torch
from tiny_models import SEED_SYSTEMS, random_tokens, randomised

from reference_model import GPTConfig, load_names, load_preset, preset_names, schedule, state_layout


def shrunk(system: str, **options: object) -> GPTConfig:
    """The system's model with its own wiring at a width that runs in a moment."""
    sizes = {"vocab_size": 41, "model_dim": 32, "mlp_hidden": 48, "rope_dims": 4, "bigram_dim": 8}
    return changed(SEED_SYSTEMS[system], **sizes, **options)


def changed(config: GPTConfig, **options: object) -> GPTConfig:
    """``config`` with other values."""
    return GPTConfig.from_mapping({**config.to_mapping(), **options})


def test_static_and_dynamic_smear_are_told_apart_by_name() -> None:
    static, dynamic = load_names("pr398"), load_names("pr2140")
    assert static.to_canonical(["smear.gate"]) == {"smear.gate": "smear_static.gate"}
    assert dynamic.to_canonical(["smear_gate.weight"]) == {"smear_gate.weight": "smear_dyn.weight"}
    # Under the other's map the name stays what it is, and so shows as unexpected.
    assert static.to_canonical(["smear_gate.weight"])["smear_gate.weight"] == "smear_gate.weight"
    assert dynamic.to_canonical(["smear.gate"])["smear.gate"] == "smear.gate"
    assert state_layout(load_preset("pr398"))["smear_static.gate"] == (512,)
    assert state_layout(load_preset("pr2140"))["smear_dyn.weight"] == (1, 12)


def test_attention_gates_of_equal_names_are_told_apart_by_shape() -> None:
    dense, window = load_names("pr940"), load_names("pr2140")
    assert dense.to_canonical(["blocks.3.attn.attn_gate.weight"]) == {
        "blocks.3.attn.attn_gate.weight": "blocks.3.attn.gate_dense.weight"
    }
    assert window.to_canonical(["blocks.3.attn.attn_gate_w"]) == {
        "blocks.3.attn.attn_gate_w": "blocks.3.attn.gate_window.weight"
    }
    assert state_layout(load_preset("pr940"))["blocks.3.attn.gate_dense.weight"] == (8, 512)
    assert state_layout(load_preset("pr2140"))["blocks.3.attn.gate_window.weight"] == (8, 12)


@pytest.mark.parametrize(
    ("system", "skips"), [("baseline", 4), ("pr398", 5), ("pr1477", 7), ("pr1493", 8), ("pr2140", 8)]
)
def test_skips_follow_the_scheduled_steps(system: str, skips: int) -> None:
    config = load_preset(system)
    assert state_layout(config)["skip.weight"] == (skips, 512)
    assert schedule(config).num_skips == skips


def test_three_indices_in_one_model() -> None:
    """Lanes go by physical block, skips by decoder step, and steps outnumber both."""
    config = load_preset("pr2140")
    plan = schedule(config)
    assert state_layout(config)["parallel.resid"] == (11, 2)
    assert len(plan.decoder) == 9
    assert len(plan.encoder) + len(plan.decoder) == 17


@pytest.mark.parametrize(
    ("system", "name", "rows"),
    [
        ("pr940", "blocks.0.attn.vr_pair", slice(None)),
        ("pr2140", "parallel.post", slice(0, 8)),
        ("pr2140", "parallel.resid", slice(0, 8)),
    ],
)
def test_unused_rows_are_kept_and_change_nothing(system: str, name: str, rows: slice) -> None:
    config = shrunk(system)
    model = randomised(config)
    tokens = random_tokens(config, 1, 9)
    with torch.no_grad():
        before = model(tokens)
        parameter = model.get_parameter(name)
        parameter[rows].add_(7.0)
        assert torch.equal(model(tokens), before)
        parameter.add_(7.0)
    if system == "pr2140":
        with torch.no_grad():
            assert not torch.equal(model(tokens), before)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mlp_slope": 0.5},
        {"rope_ntk_train_len": None},
        {"rope_base": 5000.0},
        {"ln_scale": False},
        {"xsa_last_n": 4},
        {"logit_softcap": 15.0},
    ],
)
def test_what_shapes_cannot_show_changes_the_predictions(wrong: dict[str, object]) -> None:
    """No tensor tells these apart, so only the preset can carry them, and only a loss can check them."""
    config = shrunk("pr940", rope_ntk_train_len=4)
    other = changed(config, **wrong)
    assert state_layout(config) == state_layout(other)
    model, misread = randomised(config), randomised(other)
    misread.load_state_dict(model.state_dict())
    tokens = random_tokens(config, 2, 9)
    with torch.no_grad():
        assert (model(tokens) - misread(tokens)).abs().max() > 1e-3


def test_presets_of_equal_shapes_are_the_same_function_or_known_rivals() -> None:
    """A new preset whose shapes another has already must be the same model: nothing else could choose between them."""
    by_shape: dict[tuple[object, ...], list[str]] = {}
    for name in preset_names():
        names = {canonical: artifact for artifact, canonical in load_names(name).patterns.items()}
        layout = state_layout(load_preset(name))
        key = tuple(sorted((names.get(canonical, canonical), shape) for canonical, shape in layout.items()))
        by_shape.setdefault(key, []).append(name)
    rivals = [found for found in by_shape.values() if len(found) > 1]
    assert rivals == [["pr1394", "pr1413"], ["pr1493", "pr1514"]]
    for group in rivals:
        assert len({load_preset(name).function() for name in group}) == 1
