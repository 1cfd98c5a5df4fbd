"""Ternary and binary entries: packings, both arithmetics, and a real artifact against the format's description."""

from __future__ import annotations

import io
import lzma
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.artifact import DecodeLimits, bits, decode, torch_zip
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.artifact.families import ternary
from evaluator.artifact.families.ternary import LowBit
from evaluator.artifact.hadamard import rotate

LIMITS = DecodeLimits()
stable = settings(derandomize=True, max_examples=40, deadline=None)


@stable
@given(st.lists(st.integers(-1, 1), max_size=40))
def test_trits_come_back(codes: list[int]) -> None:
    array = np.array(codes, np.int8)
    for pack, unpack in [
        (bits.pack_trits, bits.unpack_trits),
        (bits.pack_masked_signs, bits.unpack_masked_signs),
        (bits.pack_nibbles, bits.unpack_nibbles),
    ]:
        np.testing.assert_array_equal(unpack("a", pack(array), len(codes)), array)


@stable
@given(st.lists(st.sampled_from([-1, 1]), max_size=40))
def test_signs_come_back(codes: list[int]) -> None:
    array = np.array(codes, np.int8)
    np.testing.assert_array_equal(bits.unpack_signs("a", bits.pack_signs(array), len(codes)), array)


def test_the_packings_are_those_of_the_format() -> None:
    codes = np.array([1, 0, -1, 0, 0, 1], np.int8)
    assert bits.pack_trits(codes) == bytes([2 + 3 + 0 + 27 + 81, 2])
    assert bits.pack_masked_signs(codes) == bytes([0b10100100, 0b10100000])
    assert bits.pack_signs(np.array([1, -1, -1, 1], np.int8)) == bytes([0b1001])
    assert bits.pack_nibbles(np.array([-8, 7, 0], np.int8)) == bytes([0xF0, 0x88])


def low_bit(kind: Literal["ternary", "ternary_bitmask", "binary"], *, turbo: bool = False) -> LowBit:
    """Five rows of six columns, padded to eight, in groups of four; one group is all zeros."""
    rng = np.random.default_rng(1)
    codes = rng.integers(-1, 2, (5, 8), dtype=np.int8)
    codes[2, :4] = 0
    if kind == "binary":
        codes = np.where(codes >= 0, 1, -1).astype(np.int8)
    return LowBit(kind, codes, rng.random(10).astype(np.float16), 6, (5, 2, 3), turbo)


def by_formula(value: LowBit, *, shrunk: bool) -> torch.Tensor:
    """The format's description in torch, group by group."""
    rows = []
    for codes, scale in zip(value.codes.reshape(10, 4), value.scale, strict=True):
        q = torch.from_numpy(codes).float()
        step = torch.tensor(float(scale))
        if shrunk:
            step = step / q.abs().mean().clamp(min=1e-8)
        group = q * step
        if value.turbo:
            signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
            group = group @ (signs / 2)
        rows.append(group)
    return torch.cat(rows).reshape(5, 8)[:, :6].reshape(5, 2, 3)


@pytest.mark.parametrize("kind", ["ternary", "ternary_bitmask", "binary"])
def test_files_without_a_mark_divide_by_the_mean_code(kind: Literal["ternary", "ternary_bitmask", "binary"]) -> None:
    facts, tensors = decode_bytes(ternary.write({"a": low_bit(kind), "b": np.ones(3)}), LIMITS)
    assert facts["family"] == "ternary"
    np.testing.assert_array_equal(tensors["a"], by_formula(low_bit(kind), shrunk=kind != "binary"))
    np.testing.assert_array_equal(tensors["b"], np.ones(3))


def test_one_rotated_matrix_makes_the_file_the_other_familys() -> None:
    values = {"a": low_bit("ternary"), "b": low_bit("ternary_bitmask", turbo=True)}
    facts, tensors = decode_bytes(ternary.write(values), LIMITS)
    assert facts["notes"] == ["ternary codes read as q * scale"]
    np.testing.assert_array_equal(tensors["a"], by_formula(values["a"], shrunk=False))
    np.testing.assert_allclose(tensors["b"], by_formula(values["b"], shrunk=False), rtol=0, atol=1e-6)


def test_a_rotation_undoes_itself() -> None:
    groups = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    np.testing.assert_allclose(rotate(rotate(groups)), groups, atol=1e-6)


def test_fp4_and_fp8_entries() -> None:
    codes = np.array([[-8, 7, 0], [1, -2, 3]], np.int8)
    fp8 = torch.linspace(-3, 3, 6).reshape(2, 3).to(torch.float8_e4m3fn)
    nibbles = np.frombuffer(bits.pack_nibbles(codes), np.uint8)
    entry = {"type": "fp4", "packed": torch.tensor(nibbles), "scale": torch.tensor([0.5, 0.25]).half(), "shape": [2, 3]}
    file = io.BytesIO()
    torch.save({"a": entry, "b": {"type": "fp8", "data": fp8}}, file)
    _, tensors = decode_bytes(file.getvalue(), LIMITS)
    np.testing.assert_array_equal(tensors["a"], codes * np.array([[0.5], [0.25]], np.float32))
    np.testing.assert_array_equal(tensors["b"], fp8.float().numpy())


def test_the_real_ternary_artifact_is_what_the_format_says(real_data: Path, tmp_path: Path) -> None:
    """Against a decoder written here from the description alone, element by element in float64."""
    from safetensors.numpy import load_file

    path = real_data / "artifact_pr1609_ternary.ptz"
    decoded = decode(path, tmp_path)
    assert (decoded.codec, decoded.container, decoded.family) == ("lzma", "torch-zip", "ternary")
    assert sum(int(np.prod(shape)) for shape in decoded.shapes.values()) == 3_547_976
    tensors = load_file(decoded.tensors)
    stored: dict[str, Any] = torch.load(io.BytesIO(lzma.decompress(path.read_bytes())), weights_only=True)
    assert tensors.keys() == stored.keys()
    kinds = [entry["type"] for entry in stored.values()]
    assert (kinds.count("ternary_bitmask"), kinds.count("fp16")) == (28, 73)
    hadamard = np.ones((1, 1))
    while len(hadamard) < 128:
        hadamard = np.kron(np.array([[1, 1], [1, -1]]), hadamard)
    weights = 0
    for name, entry in stored.items():
        if entry["type"] == "fp16":
            np.testing.assert_array_equal(tensors[name], entry["data"].float().numpy())
            continue
        count = entry["n_trits"]
        mask = np.unpackbits(np.frombuffer(entry["packed"], np.uint8))
        signs = mask[8 * -(-count // 8) :]
        mask = mask[:count].astype(bool)
        q = np.zeros(count)
        q[mask] = np.where(signs[: mask.sum()], 1.0, -1.0)
        groups = q.reshape(-1, 128) * entry["scale"].double().numpy()[:, None] @ (hadamard / np.sqrt(128))
        rows, columns = entry["shape"]
        expected = groups.reshape(rows, -1)[:, :columns].reshape(entry["orig_shape"])
        np.testing.assert_allclose(tensors[name], expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        weights += expected.size
    assert weights == 2_756_608


def test_equal_input_gives_equal_bytes() -> None:
    assert ternary.write({"a": low_bit("binary")}) == ternary.write({"a": low_bit("binary")})
    assert torch_zip.write({"a": b"1"}) == torch_zip.write({"a": b"1"})
