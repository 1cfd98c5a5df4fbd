from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from evaluator.artifact import Decoded, fits, match
from evaluator.refusal import Refused

Shape = tuple[int, ...]


def layout(layers: int = 3, vocabulary: int = 64, width: int = 16) -> dict[str, Shape]:
    blocks = {
        f"blocks.{i}.{name}": shape
        for i in range(layers)
        for name, shape in {
            "attn.c_q.weight": (width, width),
            "attn.c_k.weight": (width // 2, width),
            "attn.q_gain": (4,),
            "mlp.fc.weight": (2 * width, width),
        }.items()
    }
    return {"tok_emb.weight": (vocabulary, width), "skip.weight": (layers // 2, width), "bigram.scale": ()} | blocks


def names(artifact: Iterable[str]) -> dict[str, str]:
    return {name: "skip.weight" if name == "skip_weights" else name for name in artifact}


def decoded(shapes: dict[str, Shape]) -> Decoded:
    return Decoded(Path("none"), shapes, "none", "safetensors", "plain", 1, 1, "00", None, "namespaces")


def as_stored(shapes: dict[str, Shape]) -> dict[str, Shape]:
    return {("skip_weights" if name == "skip.weight" else name): shape for name, shape in shapes.items()}


def refusal(shapes: dict[str, Shape], model: dict[str, Shape]) -> Refused:
    assert not fits(shapes, model, names)
    with pytest.raises(Refused) as refused:
        match(decoded(shapes), model, names)
    return refused.value


def test_equal_tensors_match_by_canonical_name() -> None:
    stored = as_stored(layout())
    found = match(decoded(stored), layout(), names)
    assert list(found) == list(layout())
    assert found["skip.weight"] == "skip_weights"
    assert found["tok_emb.weight"] == "tok_emb.weight"
    assert fits(stored, layout(), names)


def test_a_scalar_may_have_one_axis_or_none() -> None:
    stored = as_stored(layout()) | {"bigram.scale": (1,)}
    assert match(decoded(stored), layout(), names)["bigram.scale"] == "bigram.scale"
    assert fits(stored, layout(), names)


def test_one_row_is_not_one_column() -> None:
    assert refusal({"a": (1, 5)}, {"a": (5, 1)}).reason == "wrong-shape"
    assert refusal({"a": (1, 1)}, {"a": ()}).reason == "wrong-shape"


def test_missing_and_unexpected_tensors_are_listed_both_ways() -> None:
    stored = as_stored(layout())
    del stored["blocks.1.attn.q_gain"]
    stored["lm_head.bias"] = (64,)
    refused = refusal(stored, layout())
    assert refused.reason == "missing-tensor"
    assert "1 missing: blocks.1.attn.q_gain" in refused.message
    assert "1 not expected: lm_head.bias" in refused.message


def test_an_unexpected_tensor_alone_is_refused() -> None:
    assert refusal(as_stored(layout()) | {"more": (1,)}, layout()).reason == "extra-tensor"


def test_a_wrong_shape_is_refused_with_both_shapes() -> None:
    refused = refusal(as_stored(layout()) | {"blocks.2.attn.q_gain": (8,)}, layout())
    assert refused.reason == "wrong-shape"
    assert "blocks.2.attn.q_gain is [8], not [4]" in refused.message


def test_two_names_for_one_tensor_are_refused() -> None:
    assert refusal(layout() | as_stored(layout()), layout()).reason == "duplicate-tensor"


def test_a_name_map_that_finds_a_duplicate_itself_is_heard() -> None:
    def strict(_: Iterable[str]) -> dict[str, str]:
        raise ValueError("'a' and 'b' both mean 'c'")

    with pytest.raises(Refused, match="duplicate-tensor: 'a' and 'b' both mean 'c'"):
        match(decoded({"a": ()}), layout(), strict)
    assert not fits({"a": ()}, layout(), strict)


def test_the_message_says_what_the_shapes_reveal() -> None:
    message = refusal(as_stored(layout(layers=2, vocabulary=128)), layout(layers=4)).message
    for fact in (
        "layers: artifact 2, model 4",
        "vocabulary size: artifact 128, model 64",
        "skip connections: artifact 1",
    ):
        assert fact in message
    assert "MLP width" not in message


def test_the_message_says_which_parts_the_other_lacks() -> None:
    message = refusal(as_stored(layout()), layout() | {"skip.gate": (1, 16)}).message
    assert "gated skips: only in the model" in message


def test_a_long_list_is_cut() -> None:
    message = refusal({}, layout(layers=9)).message
    assert "39 missing" in message
    assert "and 36 more" in message


def test_both_lists_survive_where_everything_differs() -> None:
    other = {f"transformer.{name}": (7, 7) for name in layout(layers=12)} | layout(layers=2, vocabulary=9, width=4)
    message = refusal(other, layout(layers=12)).message
    assert "40 missing: blocks.2." in message
    assert "51 not expected: transformer." in message
    assert "of the wrong shape: " in message


@pytest.mark.parametrize(("preset", "layers"), [("baseline", 9), ("pr1477", 11)])
def test_the_real_presets_fit_themselves_and_not_each_other(preset: str, layers: int) -> None:
    from reference_model.layout import state_layout
    from reference_model.preset import load_names, load_preset

    other = "pr1477" if preset == "baseline" else "baseline"
    own = state_layout(load_preset(preset))
    assert fits(own, own, load_names(preset).to_canonical)
    with pytest.raises(Refused) as refused:
        match(decoded(dict(own)), state_layout(load_preset(other)), load_names(other).to_canonical)
    assert f"layers: artifact {layers}, model {20 - layers}" in refused.value.message
