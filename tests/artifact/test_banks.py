"""Banked checkpoints come apart into the matrices of their blocks."""

from __future__ import annotations

import numpy as np
import pytest

from evaluator.artifact import DecodeLimits, torch_zip
from evaluator.artifact.banks import bank, unbank
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.refusal import Refused


def matrices(layers: int = 3) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    rng = np.random.default_rng(0)
    shapes = {
        "attn.c_q.weight": (8, 8),
        "attn.proj.weight": (8, 8),
        "attn.c_k.weight": (4, 8),
        "attn.c_v.weight": (4, 8),
        "mlp.fc.weight": (12, 8),
        "mlp.proj.weight": (8, 12),
    }
    return {
        f"blocks.{index}.{name}": rng.standard_normal(shape).astype(np.float32)
        for index in range(layers)
        for name, shape in shapes.items()
    } | {"skip_weights": rng.standard_normal((1, 8)).astype(np.float32)}


def test_a_banked_checkpoint_decodes_to_its_blocks() -> None:
    banked = bank(matrices())
    assert {name: array.shape for name, array in banked.items()} == {
        "qo_bank": (6, 8, 8),
        "kv_bank": (6, 4, 8),
        "mlp_up_bank": (3, 12, 8),
        "mlp_down_bank": (3, 8, 12),
        "skip_weights": (1, 8),
    }
    np.testing.assert_array_equal(banked["qo_bank"][4], matrices()["blocks.1.attn.proj.weight"])
    facts, tensors = decode_bytes(torch_zip.write({"model": dict(banked)}), DecodeLimits())
    assert facts["notes"][0].startswith("banks taken apart")
    assert tensors.keys() == matrices().keys()
    for name, values in matrices().items():
        np.testing.assert_array_equal(tensors[name], values)


def test_wrappers_before_the_banks_name_stay() -> None:
    assert "module.blocks.1.attn.c_v.weight" in unbank({"module.kv_bank": np.zeros((4, 2, 2), np.float32)})


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"qo_bank": np.zeros((3, 2, 2), np.float32)}, "wrong-shape"),
        ({"mlp_up_bank": np.zeros((4, 2), np.float32)}, "wrong-shape"),
        (
            {"mlp_up_bank": np.zeros((1, 2, 2), np.float32), "blocks.0.mlp.fc.weight": np.zeros(1, np.float32)},
            "duplicate-tensor",
        ),
    ],
)
def test_banks_that_are_none(
    tensors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]], reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        unbank(tensors)
    assert refused.value.reason == reason
