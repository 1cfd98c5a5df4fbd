from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from evaluator.artifact import DecodeLimits, decode, match
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.artifact.pack import Packed, pack
from evaluator.refusal import Refused

LAYOUT = {"tok_emb.weight": (512, 64), "blocks.0.mlp.fc.weight": (256, 64), "blocks.0.resid_mix": (2, 64), "scale": ()}
CONFIG = {"vocab_size": 512, "model_dim": 64}


def weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {name: torch.randn(shape, generator=generator) for name, shape in LAYOUT.items()}


def as_torch(value: Any) -> bytes:
    file = BytesIO()
    torch.save(value, file)
    return file.getvalue()


def packed(checkpoint: bytes, tmp_path: Path, **options: Any) -> Packed:
    path = tmp_path / "checkpoint"
    path.write_bytes(checkpoint)
    return pack(
        path, tmp_path, config=CONFIG, layout=LAYOUT, to_canonical=lambda names: {n: n for n in names}, **options
    )


@pytest.mark.parametrize(
    ("bits", "steps"),
    [
        (8, {"tok_emb.weight": 127, "blocks.0.mlp.fc.weight": 127}),
        (6, {"tok_emb.weight": 127, "blocks.0.mlp.fc.weight": 31}),
        (None, {}),
    ],
)
def test_a_packed_checkpoint_decodes_to_its_weights(bits: int | None, steps: dict[str, int], tmp_path: Path) -> None:
    result = packed(save(weights()), tmp_path, bits=bits)
    assert (result.quantised, result.kept) == (len(steps), len(LAYOUT) - len(steps))
    facts, tensors = decode_bytes(result.data, DecodeLimits())
    assert facts["family"] == "canonical"
    assert facts["config"] == CONFIG
    for name, weight in weights().items():
        error = np.abs(tensors[name] - weight.numpy())
        # Half a step of the row, plus what rounding the scale to fp16 moves the largest code.
        row = np.abs(weight.numpy()).reshape(weight.shape[0] if weight.ndim else 1, -1).max(axis=1)
        bound = np.maximum(row, 1) / steps[name] * 0.5 + row * 2.0**-11 if name in steps else np.zeros(1)
        assert (error.reshape(len(row), -1) <= bound[:, None] + 1e-6 * bool(name in steps)).all()


def test_fewer_bits_are_fewer_bytes(tmp_path: Path) -> None:
    sizes = [len(packed(save(weights()), tmp_path, bits=bits).data) for bits in (6, 8, None)]
    assert sizes == sorted(sizes)
    assert sizes[2] > 2 * sizes[1]


def test_the_kind_of_checkpoint_does_not_matter(tmp_path: Path) -> None:
    plain = packed(save(weights()), tmp_path).data
    wrapped = {f"_orig_mod.module.{name}": weight for name, weight in weights().items()}
    assert packed(as_torch({"model_state_dict": wrapped, "step": 7, "args": {"lr": 0.1}}), tmp_path).data == plain
    assert packed(as_torch({"model": weights(), "optimizer": {"state": {0: torch.zeros(3)}}}), tmp_path).data == plain


@pytest.mark.parametrize(
    ("make", "change", "reason"),
    [
        (save, {"more": torch.zeros(3)}, "extra-tensor"),
        (save, {"blocks.0.resid_mix": torch.zeros(3)}, "wrong-shape"),
        (save, {"scale": torch.tensor(float("nan"))}, "not-finite"),
        (save, {"blocks.0.mlp.fc.weight": torch.full((256, 64), 1e30)}, "scale-overflow"),
        (save, {"module.scale": torch.zeros(())}, "duplicate-tensor"),
        (as_torch, {"hook": torch.nn.Linear(2, 2)}, "pickle-callable"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(
    make: Callable[[Any], bytes], change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as refused:
        packed(make(weights() | change), tmp_path)
    assert refused.value.reason == reason


def test_other_widths_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bits must be"):
        packed(save(weights()), tmp_path, bits=5)


def test_a_real_model_goes_through(tmp_path: Path) -> None:
    from reference_model import GPT, load_preset
    from reference_model.layout import state_layout

    config = load_preset("mini")
    torch.manual_seed(1)
    state = GPT(config).state_dict()
    checkpoint, artifact = tmp_path / "checkpoint.safetensors", tmp_path / "artifact.ptz"
    checkpoint.write_bytes(save(dict(state)))
    layout = state_layout(config)
    mapping = config.to_mapping()
    result = pack(checkpoint, tmp_path, config=mapping, layout=layout, to_canonical=lambda n: {x: x for x in n}, bits=8)
    artifact.write_bytes(result.data)
    decoded = decode(artifact, tmp_path)
    assert decoded.config == mapping
    assert match(decoded, layout, lambda names: {name: name for name in names}) == {name: name for name in layout}
    assert len(result.data) < 1.2 * sum(weight.numel() for weight in state.values())
