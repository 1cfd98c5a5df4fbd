"""The forward pass against its formulas, written out independently."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import naive_gpt
import numpy as np
import pytest
import torch
from tiny_models import random_tokens, randomised, tiny
from torch import Tensor

from reference_model import GPT, schedule
from reference_model.attention import without_own_value
from reference_model.block import Context
from reference_model.rotary import Rotary, ntk_base
from reference_model.stem import hashed_ngram
from reference_model.varlen import block_causal_mask, document_starts


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mlp_slope": 0.0, "ln_scale": False, "num_layers": 3},
        {"xsa_last_n": 2, "skip_mode": "gated"},
        {"attn_gate": "dense_bias", "xsa_last_n": 4, "num_layers": 5},
        {"rope_ntk_train_len": 4, "num_kv_heads": 4},
        {"num_heads": 1, "num_kv_heads": 1, "rope_dims": 16, "num_layers": 1},
    ],
)
def test_forward_equals_the_naive_formulas(options: dict[str, Any]) -> None:
    config = tiny(**options)
    model = randomised(config, seed=3)
    tokens = random_tokens(config, 2, 7, seed=5)
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
    with torch.no_grad():
        ours = model(tokens).numpy()
    theirs = np.stack([naive_gpt.logits(row, weights, config) for row in tokens.tolist()])
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-4)


def test_xsa_output_is_orthogonal_to_the_own_value() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(2, 5, 4, 8, generator=generator)
    v = torch.randn(2, 5, 2, 8, generator=generator)
    out = without_own_value(y, v)
    for head in range(4):
        own = v[:, :, head // 2]
        torch.testing.assert_close((out[:, :, head] * own).sum(-1), torch.zeros(2, 5), rtol=0, atol=1e-5)
        removed = y[:, :, head] - out[:, :, head]
        assert torch.linalg.matrix_rank(torch.stack((removed, own), dim=-1), rtol=1e-4).max() == 1
    torch.testing.assert_close(without_own_value(out, v), out)
    torch.testing.assert_close(without_own_value(y, torch.zeros_like(v)), y)


def test_ntk_base_of_the_early_systems() -> None:
    config = tiny(model_dim=64, num_heads=1, num_kv_heads=1, rope_dims=16, rope_ntk_train_len=1024)
    assert ntk_base(config, 1024) == 10_000
    assert ntk_base(config, 2048) == pytest.approx(22_081.79, abs=0.01)


def test_rotary_follows_the_length_from_call_to_call() -> None:
    config = tiny(rope_ntk_train_len=4)
    model, fresh = randomised(config), randomised(config)
    long, short = random_tokens(config, 1, 10), random_tokens(config, 1, 3)
    with torch.no_grad():
        expected = fresh(short)
        model(long)
        assert torch.equal(model(short), expected)


def test_rotary_depends_on_distance_only_and_passes_the_rest() -> None:
    config = tiny(model_dim=32, num_heads=4, rope_dims=4)
    rotary = Rotary.of(config, 9, like=torch.zeros(()))
    u = torch.randn(1, 1, 1, 8, generator=torch.Generator().manual_seed(1)).expand(1, 9, 1, 8)
    turned = rotary.rotate(u)[0, :, 0]
    assert torch.equal(turned[:, 4:], u[0, :, 0, 4:])
    products = turned @ turned.T
    for distance in range(9):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))


def test_bigram_and_trigram_rows() -> None:
    tokens = torch.tensor([[1, 5, 1023, 7]])

    def wrapped(value: int) -> int:
        return (value + 2**31) % 2**32 - 2**31

    pairs = [(wrapped(36313 * b) ^ wrapped(27191 * a)) % 2047 for a, b in [(1, 5), (5, 1023), (1023, 7)]]
    assert hashed_ngram(tokens, 2, 2048).tolist() == [[2047, *pairs]]
    triples = [(36313 * c ^ 27191 * b ^ 51497 * a) % 2047 for a, b, c in [(1, 5, 1023), (5, 1023, 7)]]
    assert hashed_ngram(tokens, 3, 2048).tolist() == [[2047, 2047, *triples]]
    assert hashed_ngram(tokens[:, :1], 3, 2048).tolist() == [[2047]]


def test_static_smear_mixes_the_previous_token() -> None:
    model = randomised(tiny(smear="static"))
    assert model.smear_static is not None
    x = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(2))
    g = torch.sigmoid(model.smear_static.gate)
    out = model.smear_static(x)
    torch.testing.assert_close(out[:, 0], (1 - g) * x[:, 0])
    for t in range(1, 4):
        torch.testing.assert_close(out[:, t], (1 - g) * x[:, t] + g * x[:, t - 1])


@pytest.mark.parametrize("masked", [True, False])
def test_dynamic_smear_stops_at_a_document_if_masked(masked: bool) -> None:
    model = randomised(tiny(smear="dynamic", smear_window=3, smear_bos_mask=masked))
    smear = model.smear_dyn
    assert smear is not None
    tokens = torch.tensor([[1, 4, 1, 6]])
    x = torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(2))
    out = smear(x, tokens)
    torch.testing.assert_close(out[0, 0], x[0, 0])
    for t in range(1, 4):
        gate = smear.lam * torch.sigmoid(smear.weight[0] @ x[0, t, :3])
        expected = x[0, t] if masked and t == 2 else x[0, t] + gate * x[0, t - 1]
        torch.testing.assert_close(out[0, t], expected)


def _block_parts(model: GPT, index: int, a: Tensor, m: Tensor, context: Context) -> tuple[Tensor, Tensor, Tensor]:
    """z, scaled attention on z, scaled feed-forward on m, of one block, by its own submodules."""
    block = model.block(index)
    scale = 1 / np.sqrt(index + 1)
    z = block.resid_mix[0] * a + block.resid_mix[1] * context.x0
    normed = z / (z.square().mean(-1, keepdim=True) + 1.1920929e-07).sqrt() * scale
    attended = block.attn(normed, context.rotary, None, None, None)[0] * block.attn_scale
    fed = block.mlp(m / (m.square().mean(-1, keepdim=True) + 1.1920929e-07).sqrt() * scale) * block.mlp_scale
    return z, attended, fed


@pytest.mark.parametrize("matrix", [False, True])
@pytest.mark.parametrize("mix_in_residual", [False, True])
@pytest.mark.parametrize("skip_at_split", ["before", "after"])
@pytest.mark.parametrize("merge", ["lambda", "mean", "attn", "mlp"])
def test_lanes_follow_their_formulas(matrix: bool, mix_in_residual: bool, skip_at_split: str, merge: str) -> None:
    config = tiny(
        parallel_mode="lanes_matrix" if matrix else "lanes",
        parallel_start=2,
        parallel_mix_in_residual=mix_in_residual,
        parallel_skip=skip_at_split,
        parallel_merge=merge,
    )
    model = randomised(config)
    lanes = model.parallel
    assert lanes is not None
    tokens = random_tokens(config, 1, 6)
    with torch.no_grad():
        x0 = model.tok_emb(tokens)
        x0 = x0 / (x0.square().mean(-1, keepdim=True) + 1.1920929e-07).sqrt()
        context = Context(x0=x0, rotary=Rotary.of(config, 6, like=x0), mask=None, extra_values={})
        x, saved = x0, []
        for index in (0, 1):
            x = model.block(index)(x, context)[0]
            saved.append(x)
        skip = model.skip.weight
        first = x + skip[0] * saved[1]
        a, m = first, (first if skip_at_split == "before" else x)
        for step, index in enumerate((2, 3)):
            if step == 1:
                a = a + skip[1] * saved[0]
            z, attended, fed = _block_parts(model, index, a, m, context)
            r = z if mix_in_residual else a
            if matrix:
                P, R = lanes.post[index], lanes.resid[index]
                a = R[0] * r + P[0, 0] * attended + P[1, 0] * fed
                m = R[1] * m + P[0, 1] * attended + P[1, 1] * fed
            else:
                a, m = r + attended, m + fed
        lam = lanes.merge if lanes.merge is not None else {"mean": 0.5, "attn": 1.0, "mlp": 0.0}[merge]
        joined = lam * a + (1 - lam) * m
        expected = joined / (joined.square().mean(-1, keepdim=True) + 1.1920929e-07).sqrt()
        torch.testing.assert_close(model.hidden(tokens), expected, rtol=1e-4, atol=1e-5)


def test_a_shared_residual_feeds_both_parts_from_the_mix() -> None:
    config = tiny(parallel_mode="shared", parallel_start=1)
    model = randomised(config)
    x = torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(4))
    context = Context(x0=x.flip(1), rotary=Rotary.of(config, 5, like=x), mask=None, extra_values={})
    z = model.block(2).mix(x, context.x0)
    z, attended, fed = _block_parts(model, 2, x, z, context)
    torch.testing.assert_close(model.block(2)(x, context)[0], z + attended + fed)
    z, attended, _ = _block_parts(model, 0, x, z, context)
    _, _, fed = _block_parts(model, 0, x, z + attended, context)
    torch.testing.assert_close(model.block(0)(x, context)[0], z + attended + fed)


@pytest.mark.parametrize("kind", ["pair", "add", "sigmoid_add"])
def test_value_residual_reads_the_first_blocks_values(kind: str) -> None:
    model = randomised(tiny(value_residual=kind, value_embed_dim=8, value_embed_layers=[0]))
    attention = model.block(2).attn
    generator = torch.Generator().manual_seed(0)
    first, raw = torch.randn(2, 1, 3, 2, 4, generator=generator)
    if kind == "pair":
        expected = attention.vr_pair[0] * first + attention.vr_pair[1] * raw
    else:
        lam = attention.vr_scalar
        expected = raw + (lam if kind == "add" else 1 / (1 + torch.exp(-lam))) * first
    torch.testing.assert_close(attention.with_residual(raw, first), expected)
    assert model.block(0).attn(raw.reshape(1, 3, 8).repeat(1, 1, 2), *_no_context(model, 3))[1].shape == (1, 3, 2, 4)


def _no_context(model: GPT, length: int) -> tuple[Rotary, None, None, None]:
    return Rotary.of(model.config, length, like=torch.zeros(())), None, None, None


def test_gates_of_attention_outputs() -> None:
    n = torch.randn(1, 2, 16, generator=torch.Generator().manual_seed(0))
    for kind, width in (("dense_bias", 16), ("dense", 16), ("window", 5), ("out2", 5)):
        attention = randomised(tiny(attn_gate=kind, attn_gate_window=5, attn_gate_mult=0.5)).block(1).attn
        layer = attention.gate_dense if width == 16 else attention.gate_window
        raw = n[..., :width] @ layer.weight.T + (0 if layer.bias is None else layer.bias)
        expected = {"window": torch.sigmoid(0.5 * raw), "out2": 2 * torch.sigmoid(raw)}.get(kind, torch.sigmoid(raw))
        torch.testing.assert_close(attention.output_gate(n), expected)


def test_block_gate_moves_between_input_and_output() -> None:
    config = tiny(block_gate=True)
    model, plain = randomised(config), GPT(tiny())
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "block_gate" not in k})
    x = torch.randn(1, 4, 16, generator=torch.Generator().manual_seed(1))
    context = Context(x0=x, rotary=Rotary.of(config, 4, like=x), mask=None, extra_values={})
    z = plain.block(1).mix(x, x)
    layer = model.block(1).block_gate
    assert layer is not None
    assert layer.bias is not None
    gate = torch.sigmoid(z @ layer.weight.T + layer.bias)
    expected = (1 - gate) * z + gate * plain.block(1)(x, context)[0]
    torch.testing.assert_close(model.block(1)(x, context)[0], expected)


def test_asymmetric_softcap_equals_the_plain_one_until_it_moves() -> None:
    model = GPT(tiny(softcap_asym=True, embed_init_std=4.0))
    plain = GPT(tiny(embed_init_std=4.0))
    hidden = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model.logits(hidden), plain.logits(hidden))
    assert model.softcap is not None
    with torch.no_grad():
        model.softcap.pos.fill_(2.0)
    z = hidden @ model.tok_emb.weight.T
    expected = torch.where(z > 0, 2 * torch.tanh(z / 2), 30 * torch.tanh(z / 30))
    torch.testing.assert_close(model.logits(hidden), expected)


def test_packed_documents_do_not_see_each_other() -> None:
    config = tiny(attention="varlen", xsa_last_n=4)
    model = randomised(config)
    tokens = torch.tensor([[1, 4, 5, 6, 1, 7, 8, 9, 10]])
    starts = document_starts(tokens, bos_id=1)
    assert starts.nonzero()[:, 1].tolist() == [0, 4]
    with torch.no_grad():
        packed = model(tokens, document_starts=starts)
        torch.testing.assert_close(packed[:, :4], model(tokens[:, :4]))
        # Rotary positions run on, but only their differences matter.
        torch.testing.assert_close(packed[:, 4:], model(tokens[:, 4:]), rtol=1e-4, atol=1e-5)
        assert not torch.allclose(packed, model(tokens))
    with pytest.raises(ValueError, match="dense attention"):
        randomised(tiny())(tokens, document_starts=starts)


def test_long_documents_are_cut() -> None:
    tokens = torch.tensor([[5, 6, 7, 8, 1, 9, 9, 9, 9, 9]])
    assert document_starts(tokens, 1, max_len=3).nonzero()[:, 1].tolist() == [0, 3, 4, 7]
    mask = block_causal_mask(document_starts(tokens, 1, max_len=3))
    assert mask[0, 0, 6].nonzero()[:, 0].tolist() == [4, 5, 6]


def test_repeated_blocks_share_their_weights_and_loops_can_be_turned_off() -> None:
    looped = tiny(num_layers=5, num_loops=2, loop_start=1, loop_end=2)
    model = randomised(looped)
    tokens = random_tokens(looped, 1, 5)
    plan = schedule(looped)
    assert len(plan.encoder) + len(plan.decoder) == 9
    unrolled = tiny(num_layers=9, ln_scale=False)
    other = GPT(unrolled)
    state = model.state_dict()
    copied = {name: state[name] for name in ("tok_emb.weight", "skip.weight")}
    for step, block in enumerate((*plan.encoder, *plan.decoder)):
        copied |= {
            name.replace(f"blocks.{block}.", f"blocks.{step}."): v
            for name, v in state.items()
            if f"blocks.{block}." in name
        }
    other.load_state_dict(copied)
    unscaled = GPT(replace(looped, ln_scale=False))
    unscaled.load_state_dict(state)
    with torch.no_grad():
        torch.testing.assert_close(unscaled(tokens), other(tokens))
        model.looping = False
        assert not torch.allclose(model(tokens), unscaled(tokens))
        shallow = GPT(tiny(num_layers=5))
        shallow.load_state_dict(state | {"skip.weight": state["skip.weight"][:2]})
        torch.testing.assert_close(model(tokens), shallow(tokens))
