"""Quantisers: error bounds, edge rows, and that GPTQ earns its cost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import random_tokens, randomised, tiny
from torch import Tensor

from reference_model.quant import (
    Quantised,
    collect_hessians,
    gptq,
    quantise_rows,
    quantise_rows_int8,
    quantise_sdclip,
    sdclip_scale,
)


@st.composite
def matrices(draw: st.DrawFn) -> Tensor:
    """Rows of very different sizes, some of them zero."""
    rows, cols = draw(st.integers(1, 6)), draw(st.integers(2, 40))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    sizes = torch.tensor(draw(st.lists(st.sampled_from([0.0, 1e-3, 0.1, 1.0, 40.0]), min_size=rows, max_size=rows)))
    return torch.randn(rows, cols, generator=generator) * sizes[:, None]


def check_storage(quantised: Quantised, shape: torch.Size) -> None:
    assert quantised.q.dtype == torch.int8
    assert quantised.q.shape == shape
    assert quantised.scale.dtype == torch.float16
    assert quantised.scale.shape == shape[:1]
    assert quantised.dequantise().dtype == torch.float32
    assert quantised.dequantise().isfinite().all()


@given(matrices())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_int8_rows(w: Tensor) -> None:
    quantised = quantise_rows_int8(w)
    check_storage(quantised, w.shape)
    largest = w.abs().amax(1, keepdim=True)
    step = (largest / 127).clamp_min(1 / 127)
    # Half a step, what the quantile clips off, and 127 steps' worth of the scale's rounding to float16.
    assert ((quantised.dequantise() - w).abs() <= 0.5 * step + largest * 2e-3 + 127 * step * 2**-11).all()
    assert quantised.q.abs().max() <= 127


@given(matrices(), st.integers(2, 8))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_rows_of_fewer_bits(w: Tensor, bits: int) -> None:
    quantised = quantise_rows(w, bits)
    check_storage(quantised, w.shape)
    top = 2 ** (bits - 1) - 1
    scale = quantised.scale.float()[:, None]
    assert (scale >= 1 / top * (1 - 2**-10)).all()
    assert quantised.q.min() >= -top - 1
    assert quantised.q.max() <= top
    # The scale is rounded before use, so an error is half a step, plus what a scale rounded down clips.
    assert ((quantised.dequantise() - w).abs() <= scale * (0.5 + top * 2**-10)).all()
    again = quantise_rows(quantised.dequantise(), bits)
    assert ((again.dequantise() - quantised.dequantise()).abs() <= scale * (0.5 + top * 2**-10)).all()


def test_small_rows_still_get_a_step_of_one_over_the_top_level() -> None:
    w = torch.full((1, 4), 0.3)
    assert quantise_rows(w, 6).scale.item() == pytest.approx(1 / 31, rel=1e-3)
    assert quantise_rows_int8(w).scale.item() == pytest.approx(1 / 127, rel=1e-3)
    assert quantise_rows(w, 6).q.tolist() == [[9, 9, 9, 9]]


def test_int8_clips_at_the_linear_quantile() -> None:
    w = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)) * 9
    clip = np.quantile(w.abs().numpy().astype(np.float64), 0.9999984, axis=1)
    np.testing.assert_allclose(quantise_rows_int8(w).scale.float(), clip / 127, rtol=1e-3)


@given(matrices(), st.sampled_from([6, 7, 8]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_sdclip_with_a_wide_clip(w: Tensor, bits: int) -> None:
    quantised = quantise_sdclip(w, bits, 20.0)
    check_storage(quantised, w.shape)
    step = quantised.scale.float()[:, None]
    live = step[:, 0] > 6e-5  # below that float16 loses the scale's digits
    # No sample of n lies further out than (n-1)/sqrt(n) < 20 unbiased deviations for n <= 40: nothing is clipped.
    assert ((quantised.dequantise() - w).abs() <= 0.5001 * step)[live].all()
    again = quantise_sdclip(quantised.dequantise(), bits, 20.0)
    assert (again.scale.float() - quantised.scale.float()).abs().max() <= quantised.scale.float().max()


def test_sdclip_scale_of_the_record() -> None:
    w = torch.randn(4, 512, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sdclip_scale(w, 6, 12.85).float(), 0.4145 * w.std(1), rtol=1e-3, atol=0)


def test_dead_rows_become_zero_without_a_division() -> None:
    w = torch.zeros(2, 8)
    w[1] = torch.arange(8.0)
    assert quantise_sdclip(w, 6, 12.85).scale[0] == 0
    assert (quantise_sdclip(w, 6, 12.85).dequantise()[0] == 0).all()
    assert (gptq(w, torch.eye(8), 6, 12.85).dequantise()[0] == 0).all()


def test_gptq_beats_rounding_where_inputs_are_correlated() -> None:
    generator = torch.Generator().manual_seed(0)
    for cols in (32, 200):  # within one block of columns, and across two
        w = torch.randn(24, cols, generator=generator)
        x = torch.randn(400, cols // 4, generator=generator) @ torch.randn(cols // 4, cols, generator=generator)
        hessian = x.T @ x + 0.1 * torch.eye(cols)

        def error(quantised: Quantised, w: Tensor = w, hessian: Tensor = hessian) -> float:
            miss = w - quantised.dequantise()
            return float(((miss @ hessian) * miss).sum())

        clever, plain = gptq(w, hessian, 4, 12.85), quantise_sdclip(w, 4, 12.85)
        check_storage(clever, w.shape)
        assert torch.equal(clever.scale, plain.scale)
        assert error(clever) < 0.7 * error(plain)


@given(st.integers(0, 10_000), st.integers(2, 24))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_gptq_with_a_diagonal_hessian_is_rounding(seed: int, cols: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(5, cols, generator=generator)
    hessian = torch.diag(torch.rand(cols, generator=generator) + 0.1)
    assert torch.equal(gptq(w, hessian, 6, 12.85).q, quantise_sdclip(w, 6, 12.85).q)


def test_gptq_zeroes_columns_that_never_saw_an_input() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 6, generator=generator)
    x[:, 2] = 0
    quantised = gptq(torch.randn(3, 6, generator=generator), x.T @ x, 6, 12.85)
    assert (quantised.q[:, 2] == 0).all()
    assert (quantised.q[:, [0, 1, 3, 4, 5]] != 0).any()


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="Hessian of 4 x 4"):
        gptq(torch.zeros(2, 4), torch.zeros(3, 3), 6, 12.85)
    with pytest.raises(ValueError, match=r"bits must be in 2\.\.8"):
        quantise_rows(torch.zeros(2, 4), 9)
    with pytest.raises(ValueError, match="got shape"):
        quantise_rows_int8(torch.zeros(4))


def test_hessians_sum_every_visit_of_a_looped_block() -> None:
    config = tiny(num_layers=5, num_loops=2, loop_start=1, loop_end=2)
    model = randomised(config)
    tokens = random_tokens(config, 2, 8)
    seen: list[Tensor] = []
    handle = model.block(1).mlp.fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    hidden = model.hidden(tokens).detach()
    handle.remove()
    assert len(seen) == 3
    hessians = collect_hessians(model, [tokens])
    assert set(hessians) == {"tok_emb.weight"} | {
        f"blocks.{i}.{name}.weight"
        for i in range(5)
        for name in ("attn.c_q", "attn.c_k", "attn.c_v", "attn.proj", "mlp.fc", "mlp.proj")
    }
    inputs = torch.cat(seen).flatten(0, 1)
    torch.testing.assert_close(hessians["blocks.1.mlp.fc.weight"], inputs.T @ inputs)
    flat = hidden.flatten(0, 1)
    torch.testing.assert_close(hessians["tok_emb.weight"], flat.T @ flat)
    twice = collect_hessians(model, [tokens, tokens])
    torch.testing.assert_close(twice["tok_emb.weight"], 2 * hessians["tok_emb.weight"])
    assert not model.block(1).mlp.fc._forward_pre_hooks


def test_a_quantised_model_still_predicts_alike() -> None:
    config = tiny(model_dim=32, mlp_hidden=64, rope_dims=8)
    model = randomised(config)
    tokens = random_tokens(config, 4, 12)
    with torch.no_grad():
        before = model(tokens).log_softmax(-1)
        hessians = collect_hessians(model, [tokens])
        for name, parameter in model.named_parameters():
            if name in hessians:
                bits, deviations = (8, 20.0) if name == "tok_emb.weight" else (6, 12.85)
                parameter.copy_(gptq(parameter, hessians[name], bits, deviations).dequantise())
        after = model(tokens).log_softmax(-1)
    divergence = (before.exp() * (before - after)).sum(-1).mean()
    assert 0 < divergence < 0.1
