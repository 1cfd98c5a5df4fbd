"""From a model through the quantisers, a writer and a decoder: what is read is what the quantisers say they wrote."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluator.artifact import DecodeLimits
from evaluator.artifact.column_groups import ColumnGroups
from evaluator.artifact.decode_bytes import decode_bytes
from evaluator.artifact.entries import Corrected, Entry
from evaluator.artifact.families import pgrp, wm
from evaluator.artifact.low_rank import LowRank as StoredFactors
from evaluator.artifact.numerics import Quantised as StoredCodes
from reference_model import GPT, GPTConfig
from reference_model.quant import (
    Grouped,
    LowRank,
    Quantised,
    collect_hessians,
    gptq,
    gptq_grouped,
    low_rank,
    salient_groups,
)

CONFIG = GPTConfig(vocab_size=64, model_dim=64, num_layers=2, num_heads=2, num_kv_heads=1, mlp_hidden=128)


def stored(base: Quantised, bits: int) -> StoredCodes:
    return StoredCodes(base.q.numpy(), base.scale.numpy(), bits)


def stored_groups(grouped: Grouped) -> ColumnGroups:
    return ColumnGroups(grouped.starts, grouped.size, grouped.scale.numpy())


def stored_factors(factors: LowRank) -> StoredFactors:
    parts = (factors.left, factors.left_scale, factors.right, factors.right_scale)
    left, left_scale, right, right_scale = (part.numpy() for part in parts)
    return StoredFactors(left, left_scale, right, right_scale, factors.asymmetric)


@pytest.fixture(scope="module")
def quantised() -> tuple[dict[str, Entry], dict[str, Tensor]]:
    """Entries as #2140 makes them, and what they stand for."""
    model = GPT(CONFIG, seed=3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.05)
    tokens = torch.randint(CONFIG.vocab_size, (4, 32), generator=generator)
    hessians = collect_hessians(model, [tokens])
    state = model.state_dict()
    inputs = {name: (hessian.diagonal() / tokens.numel()).sqrt() for name, hessian in hessians.items()}
    groups = salient_groups({name: state[name] for name in hessians}, inputs, size=32)
    entries: dict[str, Entry] = {}
    expected: dict[str, Tensor] = {}
    plain_error, error = 0.0, 0.0
    for name, weight in state.items():
        if name not in hessians:
            entries[name], expected[name] = weight.half().numpy(), weight.half().float()
            continue
        plain_error += float((weight - gptq(weight, hessians[name], 6, 12.85).dequantise()).square().sum())
        coarse = gptq_grouped(weight, hessians[name], 6, 12.85, groups.get(name, ()), 32)
        factors = low_rank(weight - coarse.dequantise(), rank=4)
        expected[name] = coarse.dequantise() + factors.dequantise()
        error += float((weight - expected[name]).square().sum())
        finer = stored_groups(coarse) if name in groups else None
        entries[name] = Corrected(stored(coarse.base, 6), finer, stored_factors(factors))
    assert len(groups) == 1
    assert error < plain_error
    return entries, expected


@pytest.mark.parametrize("container", ["wm", "pgrp"])
def test_what_the_quantisers_made_is_read_bit_for_bit(
    container: Literal["wm", "pgrp"], quantised: tuple[dict[str, Entry], dict[str, Tensor]]
) -> None:
    entries, expected = quantised
    data = wm.write(entries) if container == "wm" else pgrp.write(entries, 2, with_lrzip=False)
    _, tensors = decode_bytes(data, DecodeLimits())
    assert tensors.keys() == expected.keys()
    for name, weight in expected.items():
        np.testing.assert_array_equal(tensors[name], weight.numpy(), err_msg=name)
    model = GPT(CONFIG, seed=3)
    model.load_state_dict({name: torch.from_numpy(values) for name, values in tensors.items()})
