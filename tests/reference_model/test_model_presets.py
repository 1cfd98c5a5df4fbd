"""Presets and the names that artifacts use."""

from __future__ import annotations

import pytest

from reference_model import (
    NameMap,
    load_names,
    load_preset,
    load_train_settings,
    num_parameters,
    preset_names,
    state_layout,
)
from reference_model.preset import load_about


def test_the_presets() -> None:
    seeds = {"baseline", "mini", "pr398", "pr779", "pr940", "pr1477", "pr2140"}
    records = {"pr549", "pr1019", "pr1394", "pr1413", "pr1493", "pr1514", "pr1855"}
    assert seeds | records <= set(preset_names())


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_complete(name: str) -> None:
    config = load_preset(name)
    about = load_about(name)
    assert about["title"]
    assert about["source"]
    layout = state_layout(config)
    for artifact, canonical in load_names(name).patterns.items():
        assert canonical.replace("{i}", "0") in layout
        assert artifact.replace("{i}", "0") not in layout
    for canonical in layout:
        # Everything outside blocks and plain tables has a name of its own in every system's scripts.
        assert (
            name == "mini"
            or not canonical.startswith(("skip.", "smear_", "value_emb.", "parallel.", "softcap."))
            or (canonical in load_names(name).patterns.values())
        )


def test_mini_is_small_and_says_how_it_is_trained() -> None:
    config = load_preset("mini")
    assert num_parameters(config) < 1_000_000
    assert config.vocab_size == 1024
    settings = load_train_settings("mini")
    assert settings.steps * settings.batch_sequences * config.context_len <= 1_100_000


def test_unknown_presets_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no preset '\.\./mini'; there are baseline"):
        load_preset("../mini")
    with pytest.raises(ValueError, match="no training settings"):
        load_train_settings("baseline")


def test_artifact_names_become_canonical() -> None:
    names = ["skip_weights", "skip_gates", "lane_merge", "blocks.3.attn_scale", "surprise"]
    assert load_names("pr1477").to_canonical(names) == {
        "skip_weights": "skip.weight",
        "skip_gates": "skip.gate",
        "lane_merge": "parallel.merge",
        "blocks.3.attn_scale": "blocks.3.attn_scale",
        "surprise": "surprise",
    }


def test_patterns_carry_the_block_index_and_match_whole_names() -> None:
    names = NameMap({"blocks.{i}.attn.vr_lambda": "blocks.{i}.attn.vr_pair", "smear.gate": "smear_static.gate"})
    assert names.to_canonical(["blocks.10.attn.vr_lambda", "blocks.x.attn.vr_lambda", "smearXgate"]) == {
        "blocks.10.attn.vr_lambda": "blocks.10.attn.vr_pair",
        "blocks.x.attn.vr_lambda": "blocks.x.attn.vr_lambda",
        "smearXgate": "smearXgate",
    }


def test_two_names_for_one_tensor_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'skip.weight' and 'skip_weights' both mean 'skip.weight'"):
        load_names("baseline").to_canonical(["skip.weight", "skip_weights"])


def test_a_pattern_must_keep_its_placeholder() -> None:
    with pytest.raises(ValueError, match="same placeholder"):
        NameMap({"a.{i}": "b"})
