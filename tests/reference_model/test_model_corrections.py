"""What goes beyond rounding by rows: searched clips, groups, low-rank corrections, pruning, falling back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from reference_model.quant import (
    Grouped,
    Quantised,
    gptq,
    gptq_grouped,
    low_rank,
    outward,
    prune_magnitude,
    quantise_rows_searched,
    quantise_sdclip,
    salient_groups,
)


def matrix(rows: int, cols: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, cols, generator=torch.Generator().manual_seed(seed))


def gram(cols: int) -> Tensor:
    x = matrix(400, cols, 1) @ (torch.eye(cols) + 0.2 * matrix(cols, cols, 2))
    return x.T @ x


def test_a_searched_clip_is_the_best_of_its_candidates() -> None:
    w = matrix(8, 2000) * 3
    w[:, 0] = 100.0  # an outlier per row, which all rows would do better to clip
    found = quantise_rows_searched(w, 15)
    assert found.q.abs().max() <= 15
    error = (w - found.dequantise()).square().mean()
    for quantile in (0.999, 1.0):
        scale = (torch.quantile(w.abs(), quantile, dim=1) / 15).clamp_min(1 / 15).half().float()[:, None]
        assert error <= (w - (w / scale).round().clamp(-15, 15) * scale).square().mean()


@pytest.mark.parametrize(("cols", "asymmetric"), [(32, True), (33, False)])
def test_a_low_rank_correction_removes_most_of_a_low_rank_error(cols: int, asymmetric: bool) -> None:
    error = matrix(40, 3) @ matrix(3, cols, 1) + 0.05 * matrix(40, cols, 2)
    factors = low_rank(error, rank=4, group=64)
    assert factors.asymmetric is asymmetric
    assert factors.left.dtype == factors.right.dtype == torch.int8
    assert factors.right_scale.numel() == (4 * cols // 64 if asymmetric else 4)
    assert (error - factors.dequantise()).norm() < (0.75 if asymmetric else 0.35) * error.norm()


def test_a_correction_of_nothing_is_nothing() -> None:
    assert (low_rank(torch.zeros(8, 16)).dequantise() == 0).all()


def test_groups_are_chosen_by_activation_times_weight() -> None:
    weights = {"a": torch.ones(4, 256), "b": 2 * torch.ones(4, 130)}
    activations = {"a": torch.ones(256), "b": torch.ones(130)}
    activations["a"][70] = 100.0
    assert salient_groups(weights, activations) == {"a": (64,)}
    # The last two columns of b are no whole group.
    assert salient_groups(weights, activations, top=3) == {"a": (64,), "b": (0, 64)}


def test_a_grouped_matrix_is_finer_in_its_groups_and_gptq_elsewhere() -> None:
    w, hessian = matrix(12, 256), gram(256)
    grouped, plain = gptq_grouped(w, hessian, 6, 12.85, (64,)), gptq(w, hessian, 6, 12.85)
    assert torch.equal(grouped.base.scale, plain.scale)
    assert grouped.base.q[:, 64:128].abs().max() > 31
    outside = torch.cat((grouped.base.q[:, :64], grouped.base.q[:, 128:]), dim=1)
    assert outside.abs().max() <= 31

    def loss(quantised: Grouped | Quantised) -> float:
        miss = w - quantised.dequantise()
        return float(((miss @ hessian) * miss).sum())

    assert loss(grouped) < loss(plain)
    with pytest.raises(ValueError, match="not within 256"):
        gptq_grouped(w, hessian, 6, 12.85, (224,))


def test_no_group_is_plain_gptq() -> None:
    w, hessian = matrix(5, 70), gram(70)
    assert torch.equal(gptq_grouped(w, hessian, 5, 12.0, ()).base.q, gptq(w, hessian, 5, 12.0).q)
    diagonal = torch.diag(hessian.diagonal())
    assert torch.equal(gptq(w, diagonal, 5, 12.0).q, quantise_sdclip(w, 5, 12.0).q)


@pytest.mark.parametrize("fraction", [0.0, 0.08, 0.5])
def test_pruning_zeroes_the_smallest(fraction: float) -> None:
    w = matrix(40, 50)
    pruned = prune_magnitude(w, fraction)
    zeros = pruned == 0
    assert int(zeros.sum()) == pytest.approx(fraction * w.numel(), abs=1)
    assert torch.equal(pruned[~zeros], w[~zeros])
    if fraction:
        assert w[zeros].abs().max() <= w[~zeros].abs().min()
    with pytest.raises(ValueError, match="fraction"):
        prune_magnitude(w, 1.0)


def test_layers_fall_back_outward_from_the_middle() -> None:
    assert outward(11) == [5, 6, 4, 7, 3, 8, 2, 9, 1, 10, 0]
    assert outward(4) == [2, 3, 1, 0]
