"""The trainer: honest, repeatable, and able to learn."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tiny_models import tiny

from reference_model import GPT
from reference_model.train import StepReport, TrainSettings, train
from reference_model.train.batches import windows
from reference_model.train.muon import Muon, orthogonalise
from reference_model.train.optimiser import Optimiser

SETTINGS = TrainSettings(steps=6, batch_sequences=3, ema_decay=0.5, clip=1.0, warmup=2, momentum_warmup=3)


def stream(length: int, vocab: int = 23, seed: int = 0) -> npt.NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(0, vocab, length).astype(np.uint16)


def test_a_periodic_stream_is_learned() -> None:
    config = tiny(model_dim=32, rope_dims=8, mlp_hidden=64, num_layers=2, xsa_last_n=2, skip_mode="gated")
    tokens = np.tile(np.array([1, 5, 9, 5, 2, 7, 7], np.uint16), 60)
    settings = TrainSettings(steps=60, batch_sequences=4, ema_decay=0.8, scalar_lr=0.01)
    result = train(GPT(config), tokens, settings)
    assert result.losses[0] > 2.5
    trained = GPT(config)
    trained.load_state_dict(result.state)
    window = torch.from_numpy(tokens[7:20].astype(np.int64))[None]
    predicted = trained(window[:, :-1]).argmax(-1)
    assert torch.equal(predicted[:, 3:], window[:, 4:])
    assert result.tokens_seen == 60 * 4 * 12


def test_training_is_repeatable_and_leaves_global_random_numbers_alone() -> None:
    states: list[dict[str, torch.Tensor]] = []
    before = torch.get_rng_state()
    for _ in range(2):
        torch.manual_seed(len(states))
        states.append(train(GPT(tiny(), seed=2), stream(500), SETTINGS).state)
    torch.set_rng_state(before)
    other = train(GPT(tiny(), seed=2), stream(500), replace(SETTINGS, seed=1)).state
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["tok_emb.weight"], other["tok_emb.weight"])
    assert torch.equal(torch.get_rng_state(), before)


def test_reports_and_average() -> None:
    reports: list[StepReport] = []
    weights: list[torch.Tensor] = []
    model = GPT(tiny())

    def on_step(report: StepReport) -> None:
        reports.append(report)
        weights.append(model.tok_emb.weight.detach().clone())

    result = train(model, stream(500), SETTINGS, on_step)
    assert [report.step for report in reports] == list(range(6))
    assert tuple(report.loss for report in reports) == result.losses
    assert reports[0].lr_scale == 0.5
    assert reports[-1].lr_scale < 0.5
    shares = torch.tensor([0.5 ** (5 - step) for step in range(6)])
    expected = sum((s * w for s, w in zip(shares / shares.sum(), weights, strict=True)), torch.zeros(()))
    assert isinstance(expected, torch.Tensor)
    torch.testing.assert_close(result.state["tok_emb.weight"], expected)
    last = train(GPT(tiny()), stream(500), replace(SETTINGS, ema_decay=0.0))
    torch.testing.assert_close(last.state["tok_emb.weight"], weights[-1])


def test_loops_start_late_and_are_on_at_the_end() -> None:
    model = GPT(tiny(num_layers=5, num_loops=1, loop_start=1, loop_end=2))
    seen: list[bool] = []
    train(model, stream(500), replace(SETTINGS, loop_from=0.5), lambda _: seen.append(model.looping))
    assert seen == [False, False, False, True, True, True]
    assert model.looping


@pytest.mark.parametrize(
    ("tokens", "complaint"),
    [
        (stream(23), "at least 24 tokens"),
        (stream(100).reshape(2, 50), "one stream"),
        (np.full(100, 23, np.uint16), "token 23 is outside the vocabulary of 23"),
    ],
)
def test_unusable_streams_are_refused(tokens: npt.NDArray[np.uint16], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        train(GPT(tiny()), tokens, SETTINGS)


def test_a_diverged_run_is_not_a_result() -> None:
    model = GPT(tiny())
    with torch.no_grad():
        model.tok_emb.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="at step 0"):
        train(model, stream(500), SETTINGS)


def test_an_epoch_visits_every_window_once() -> None:
    tokens = np.arange(101, dtype=np.uint16)
    batches = windows(tokens, 10, 3, torch.Generator().manual_seed(0))
    inputs, targets = (torch.cat(part) for part in zip(*itertools.islice(batches, 3), strict=True))
    assert torch.equal(targets, inputs + 1)
    starts = inputs[:, 0].tolist()
    assert len(set(starts)) == 9
    assert len({start % 10 for start in starts}) == 1


@pytest.mark.parametrize("shape", [(16, 16), (8, 24), (24, 8)])
def test_newton_schulz_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    matrix = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    found = torch.linalg.svdvals(orthogonalise(matrix))
    assert ((found > 0.5) & (found < 1.3)).all()
    aligned = u.mT @ orthogonalise(matrix) @ v.mT
    torch.testing.assert_close(aligned, torch.diag_embed(aligned.diagonal(dim1=1, dim2=2)), rtol=0, atol=1e-4)


def test_muon_step() -> None:
    generator = torch.Generator().manual_seed(0)
    start, gradient = torch.randn(2, 6, 4, generator=generator)
    for row_normalise in (False, True):
        parameter = torch.nn.Parameter(start.clone())
        parameter.grad = gradient.clone()
        Muon([parameter], decay=0.5, row_normalise=row_normalise).step(lr=0.1, momentum=0.9)
        used = gradient / gradient.norm(dim=1, keepdim=True) if row_normalise else gradient
        direction = orthogonalise(used[None])[0]  # a first step's momentum points where the gradient does
        expected = start * (1 - 0.1 * 0.5) - 0.1 * 1.5**0.5 * direction
        torch.testing.assert_close(parameter.detach(), expected, rtol=1e-4, atol=1e-5)


def test_each_parameter_has_one_optimiser() -> None:
    model = GPT(tiny(embed_dim=12, tie_embeddings=False, bigram_buckets=5, attn_gate="window", block_gate=True))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    optimiser = Optimiser(model, SETTINGS)
    by_muon = {names[id(p)] for group in optimiser.muon.groups.values() for p in group}
    tables, controls = ({names[id(p)] for p in group["params"]} for group in optimiser.adam.param_groups)
    assert tables == {"tok_emb.weight", "bigram.embed.weight", "lm_head.weight"}
    assert {name for name in by_muon if "blocks" not in name} == {
        "embed_proj.weight",
        "head_proj.weight",
        "bigram.proj.weight",
    }
    assert not any("gate" in name for name in by_muon)
    assert sorted([*by_muon, *tables, *controls]) == sorted(names.values())


def test_learning_rates_and_momentum_over_time() -> None:
    settings = TrainSettings(steps=10, batch_sequences=1, warmup=2, warmdown=0.5, final_scale=0.1, momentum_warmup=4)
    scales = [settings.lr_scale(step) for step in range(10)]
    assert scales == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.82, 0.64, 0.46, 0.28])
    assert [settings.momentum_at(step) for step in (0, 2, 4, 9)] == pytest.approx([0.85, 0.9, 0.95, 0.95])


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"step": 3}, "unknown training settings: step"),
        ({"steps": 3}, "batch_sequences"),
        ({"steps": 0, "batch_sequences": 1}, "steps must be at least 1"),
        ({"steps": 1.5, "batch_sequences": 1}, "steps"),
        ({"steps": 1, "batch_sequences": 1, "ema_decay": 1.0}, "ema_decay must be below 1"),
        ({"steps": 1, "batch_sequences": 1, "warmdown": 1.1}, "warmdown must be at most 1"),
        ({"steps": 1, "batch_sequences": 1, "matrix_lr": -1}, "matrix_lr must be finite and not negative"),
    ],
)
def test_wrong_settings_are_refused(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        TrainSettings.from_mapping(fields)
