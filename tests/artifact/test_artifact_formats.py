"""Round trips and number formats."""

from __future__ import annotations

import pickle
import struct

import numpy as np
import pytest
import torch
from artifact_controls import CONFIG, CONTROLS, EXPECTED, TENSORS, dense
from damage import LIMITS, assert_cuts_are_refused, flip_bits
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.artifact import bits, byteshuffle, codecs, torch_zip
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.artifact.families import canonical, clean_dict, plain, wm
from evaluator.artifact.numerics import Quantised, Storable, round_to_bfloat16, widen_bfloat16
from evaluator.refusal import Refused

stable = settings(derandomize=True, max_examples=50, deadline=None)


@stable
@given(st.binary(min_size=1, max_size=200), st.integers(1, 255), st.booleans())
def test_unshuffle_undoes_shuffle(data: bytes, stride: int, wide: bool) -> None:
    # The zip within starts with P, which is how the two headers are told apart.
    inner = b"PK" + data
    assert byteshuffle.unshuffle(byteshuffle.shuffle(inner, stride, wide=wide)) == inner


def test_the_shuffle_is_the_one_of_the_contest() -> None:
    assert byteshuffle.shuffle(b"PaQbR") == b"BSHF\x02PQRab"
    assert byteshuffle.shuffle(b"PaQbR", wide=True) == b"BSHF\x02\0PQRab"


@stable
@given(st.binary(max_size=300), st.sampled_from([codec for codec in codecs.CODECS if codec != "none"]))
def test_decompress_undoes_compress(data: bytes, codec: str) -> None:
    assert codecs.decompress(codecs.compress(data, codec), codec, 300) == data


@stable
@given(st.integers(1, 300), st.sampled_from([codec for codec in codecs.CODECS if codec != "none"]))
def test_the_allowance_is_exact(size: int, codec: str) -> None:
    compressed = codecs.compress(bytes(size), codec)
    assert len(codecs.decompress(compressed, codec, size)) == size
    with pytest.raises(Refused, match="bomb"):
        codecs.decompress(compressed, codec, size - 1)


@pytest.mark.parametrize("control", CONTROLS)
def test_every_cut_is_refused_or_loses_nothing(control: str) -> None:
    """A file cut anywhere never decodes to other tensors."""
    data = CONTROLS[control]()
    assert_cuts_are_refused(data, 1, max(1, len(data) // 40))


@pytest.mark.parametrize("control", ["wm, plain", "clean dict", "safetensors", "npz, deflated", "canonical"])
def test_damage_anywhere_is_refused_or_stays_finite(control: str) -> None:
    """No byte can be changed so that anything but a refusal or finite tensors comes out."""
    assert flip_bits(CONTROLS[control](), 0, 120, seed=5)


@stable
@given(st.integers(0, 0xFFFF))
def test_bfloat16_widens_as_torch_does(bits: int) -> None:
    ours = widen_bfloat16(np.array([bits], np.uint16))
    theirs = torch.tensor([bits], dtype=torch.int32).to(torch.int16).view(torch.bfloat16).float().numpy()
    np.testing.assert_array_equal(ours, theirs)


@stable
@given(st.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-(2.0**127), max_value=2.0**127))
def test_bfloat16_rounds_as_torch_does(value: float) -> None:
    ours = round_to_bfloat16(np.array([value], np.float32))
    np.testing.assert_array_equal(ours, torch.tensor([value]).bfloat16().float().numpy())


def test_bfloat16_tensors_survive_torch_and_safetensors() -> None:
    from io import BytesIO

    from safetensors.torch import save

    values = torch.linspace(-3, 3, 12).reshape(3, 4).bfloat16()
    file = BytesIO()
    torch.save({"a": values, "b": torch.nn.Parameter(values.t())}, file)
    _, from_torch = decode_bytes(file.getvalue(), LIMITS)
    _, from_safetensors = decode_bytes(save({"a": values}), LIMITS)
    np.testing.assert_array_equal(from_torch["a"], values.float().numpy())
    np.testing.assert_array_equal(from_torch["b"], values.float().numpy().T)
    np.testing.assert_array_equal(from_safetensors["a"], values.float().numpy())


def test_tied_weights_may_share_a_storage() -> None:
    from io import BytesIO

    weight = torch.arange(6.0).reshape(2, 3)
    file = BytesIO()
    torch.save({"tok_emb.weight": weight, "lm_head.weight": weight, "row": torch.arange(8.0)[:3].clone()}, file)
    _, tensors = decode_bytes(file.getvalue(), LIMITS)
    np.testing.assert_array_equal(tensors["lm_head.weight"], tensors["tok_emb.weight"])


def test_a_module_state_dict_loads() -> None:
    from io import BytesIO

    layer = torch.nn.Linear(3, 2)
    file = BytesIO()
    torch.save(layer.state_dict(), file)
    _, tensors = decode_bytes(file.getvalue(), LIMITS)
    np.testing.assert_array_equal(tensors["weight"], layer.weight.detach().numpy())


def test_the_clean_dictionary_rounds_to_the_live_dtype() -> None:
    codes = np.array([[101, -77], [3, 55]], np.int8)
    scale = np.array([0.013, 0.021], np.float16)
    written = clean_dict.write(
        {"a": Quantised(codes, scale), "b": np.array([0.1], np.float16)}, {"a": "bfloat16", "b": "bfloat16"}
    )
    _, tensors = decode_bytes(written, LIMITS)
    exact = torch.from_numpy(codes).float() * torch.from_numpy(scale).float()[:, None]
    np.testing.assert_array_equal(tensors["a"], exact.bfloat16().float().numpy())
    np.testing.assert_array_equal(tensors["b"], torch.tensor([0.1]).half().bfloat16().float().numpy())


@stable
@given(st.data())
def test_what_wm_writes_is_read_back(data: st.DataObject) -> None:
    rows, columns = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
    seed = data.draw(st.integers(0, 1 << 30))
    rng = np.random.default_rng(seed)
    tensors: dict[str, Storable] = {
        "q": Quantised(rng.integers(-127, 128, (rows, columns), dtype=np.int8), rng.random(rows).astype(np.float16), 6),
        "k": rng.standard_normal((rows, columns)).astype(np.float32),
    }
    written = wm.write(tensors, codec=data.draw(st.sampled_from(["zlib", "zstd", "lzma", "brotli"])))
    facts, decoded = decode_bytes(written, LIMITS)
    assert facts["family"] == "wm"
    for name, expected in dense(tensors).items():
        np.testing.assert_array_equal(decoded[name], expected)


def test_equal_input_gives_equal_bytes() -> None:
    for make in CONTROLS.values():
        assert make() == make()
    reversed_config = dict(reversed(CONFIG.items()))
    assert canonical.write(dict(reversed(TENSORS.items())), reversed_config) == canonical.write(TENSORS, CONFIG)


def test_the_canonical_format_carries_its_configuration() -> None:
    facts, _ = decode_bytes(canonical.write(TENSORS, CONFIG), LIMITS)
    assert facts["config"] == CONFIG
    assert facts["family"] == "canonical"


def test_the_canonical_format_is_safetensors_to_others() -> None:
    import zstandard
    from safetensors.numpy import load

    loaded = load(zstandard.decompress(canonical.write(TENSORS, CONFIG)))
    assert loaded.keys() - EXPECTED.keys() == {
        f"{name}.{part}" for name in ("tok_emb.weight", "blocks.0.attn.c_q.weight") for part in ("q", "scale")
    }


def test_a_header_that_starts_like_a_codec_is_a_header() -> None:
    """The size of a safetensors header can spell ``78 01``; 0x0178 is among these."""
    seen = set()
    for length in range(1, 4000, 8):
        data = plain.write(
            {"a" * (length % 200 + 1): np.ones(1, np.float32)}
            | {"b" * 200 + str(i): np.ones(1, np.float32) for i in range(length // 200)}
        )
        facts, _ = decode_bytes(data, LIMITS)
        assert facts["codec"] == "none"
        seen.add(codecs.sniff(data))
    assert "zlib" in seen


def test_content_decides_and_the_facts_say_what_was_found() -> None:
    facts, _ = decode_bytes(CONTROLS["wm, shuffled, brotli"](), LIMITS)
    assert (facts["codec"], facts["container"], facts["family"]) == ("brotli", "torch-zip", "wm")
    assert facts["notes"] == ["byte-shuffled"]


@stable
@given(st.binary(min_size=1, max_size=60))
def test_noise_is_never_an_artifact(data: bytes) -> None:
    with pytest.raises(Refused):
        decode_bytes(data, LIMITS)


def test_codes_packed_into_six_bits_come_back() -> None:
    narrow = {"q": Quantised(np.arange(-31, 32, dtype=np.int8).reshape(9, 7), np.full(9, 0.5, np.float16), 6)}
    facts, tensors = decode_bytes(clean_dict.write_packed(narrow), LIMITS)
    assert facts["family"] == "clean-dict"
    np.testing.assert_array_equal(tensors["q"], dense(dict(narrow))["q"])
    assert bits.pack_int6(np.array([-31, 32, 0, 1], np.int8)) == bytes([0b00000011, 0b11110111, 0b11100000])


@stable
@given(st.lists(st.integers(-31, 32), max_size=20))
def test_six_bits_hold_every_code(codes: list[int]) -> None:
    array = np.array(codes, np.int8)
    np.testing.assert_array_equal(bits.unpack_int6("a", bits.pack_int6(array), len(codes)), array)


def test_column_scales_divide_after_the_row_scales() -> None:
    codes, rows, columns = np.array([[8, -4], [2, 6]], np.int8), np.array([0.5, 2], np.float16), np.array([2, 0.25])
    tree = clean_dict.tree_of({"a": Quantised(codes, rows)})
    tree["qmeta"]["a"]["col_scale"] = columns.astype(np.float16)
    _, tensors = decode_bytes(torch_zip.write(tree), LIMITS)
    np.testing.assert_array_equal(tensors["a"], np.array([[2, -8], [2, 48]]))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_arrays_are_read_at_every_protocol(protocol: int) -> None:
    tree = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float32(0.5), "c": np.asfortranarray(np.eye(2))}
    facts, tensors = decode_bytes(pickle.dumps(tree, protocol), LIMITS)
    assert facts["container"] == "numpy-pickle"
    for name, values in tree.items():
        np.testing.assert_array_equal(tensors[name], values)


def test_a_flat_file_holds_bfloat16() -> None:
    header = b'{"a": "passthrough"}'
    data = struct.pack("<I", len(header)) + header + struct.pack("<H", 1) + b"a" + struct.pack("<BBI", 3, 1, 2)
    _, tensors = decode_bytes(data + struct.pack("<2H", 0x3F80, 0xC000), LIMITS)
    np.testing.assert_array_equal(tensors["a"], [1.0, -2.0])
