"""Which model an artifact fits, and what is said where none does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evaluator.artifact import Decoded
from evaluator.fit import fit
from evaluator.refusal import Refused
from evaluator.resolve import AUTO
from reference_model import load_names, load_preset, preset_names, state_layout

Shape = tuple[int, ...]


def as_stored(preset: str, **changes: Shape) -> dict[str, Shape]:
    """Shapes under the names of the preset's own system."""
    back = {canonical: artifact for artifact, canonical in load_names(preset).patterns.items()}
    shapes: dict[str, Shape] = {}
    for name, shape in state_layout(load_preset(preset)).items():
        index = name.split(".")[1] if name.startswith("blocks.") else ""
        pattern = name.replace(f"blocks.{index}.", "blocks.{i}.") if index else name
        shapes[back.get(pattern, name).replace("{i}", index)] = shape
    return shapes | changes


def decoded(shapes: dict[str, Shape], config: dict[str, Any] | None = None) -> Decoded:
    return Decoded(Path("none"), shapes, "none", "safetensors", "plain", 1, 1, "00", config, "namespaces")


def refusal(shapes: dict[str, Shape], preset: str) -> Refused:
    with pytest.raises(Refused) as refused:
        fit(decoded(shapes), preset)
    return refused.value


@pytest.mark.parametrize("preset", preset_names())
def test_every_presets_artifact_finds_its_model(preset: str) -> None:
    found = fit(decoded(as_stored(preset)), AUTO)
    assert found.config.function() == load_preset(preset).function()
    assert found.names.keys() == state_layout(load_preset(preset)).keys()
    assert set(found.names.values()) == as_stored(preset).keys()


def test_a_preset_that_does_not_fit_names_the_one_that_does() -> None:
    refused = refusal(as_stored("pr940"), "pr398")
    assert refused.reason == "extra-tensor"
    assert "preset pr940 fits, pr398 does not" in refused.message
    assert "bigram buckets: artifact 4096, model 2048" in refused.message


def test_the_closest_preset_is_suggested_where_none_fits() -> None:
    shapes = as_stored("pr1855", **{"blocks.3.mlp.fc.weight": (1024, 512)})
    assert "no preset fits; the closest by shapes is pr1855" in refusal(shapes, AUTO).message
    assert "preset pr1855 comes closest, pr2140 does not fit" in refusal(shapes, "pr2140").message
    message = refusal(shapes, "pr1855").message
    assert "comes closest" not in message
    assert "blocks.3.mlp.fc.weight is [1024, 512], not [2048, 512]" in message


def test_a_larger_model_is_described() -> None:
    shapes = as_stored("pr398") | {f"blocks.11.{name}": (1,) for name in ("attn_scale", "mlp_scale")}
    message = refusal(shapes, AUTO).message
    assert "closest by shapes is pr398 (layers: artifact 12, model 11)" in message


def test_a_header_decides_before_shapes() -> None:
    config = load_preset("mini").to_mapping()
    found = fit(decoded(dict(state_layout(load_preset("mini"))), config), AUTO)
    assert found.preset == "from the artifact's header"
    with pytest.raises(Refused, match="bad-config"):
        fit(decoded({}, {"surprise": 1}), AUTO)
