"""What holds for every configuration."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import configs, random_tokens, randomised, tiny
from torch.func import functional_call, grad

from reference_model import GPT, GPTConfig
from reference_model.varlen import document_starts


@given(configs(), st.integers(0, 10), st.integers(0, 1000))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_future_never_changes_a_prediction(config: GPTConfig, position: int, seed: int) -> None:
    model = randomised(config, seed)
    tokens = random_tokens(config, 1, 12, seed)
    changed = tokens.clone()
    changed[:, position + 1 :] = random_tokens(config, 1, 12, seed + 1)[:, position + 1 :]
    with torch.no_grad():
        for cut in (False, True) if config.attention == "varlen" else (False,):
            before = model(tokens, document_starts=document_starts(tokens, config.bos_id) if cut else None)
            after = model(changed, document_starts=document_starts(changed, config.bos_id) if cut else None)
            assert torch.equal(before[:, : position + 1], after[:, : position + 1])


@given(configs())
@settings(max_examples=25, deadline=None, derandomize=True)
def test_forward_runs_on_the_meta_device_and_every_tensor_it_uses_gets_a_gradient(config: GPTConfig) -> None:
    tokens = random_tokens(config, 2, 8)
    with torch.device("meta"):
        shadow = GPT(config)
    assert shadow(tokens.to("meta")).shape == (2, 8, config.vocab_size)
    model = randomised(config)
    model(tokens, tokens.roll(-1, 1)).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert model.tok_emb.weight.grad is not None
    assert model.tok_emb.weight.grad.abs().sum() > 0


def test_functional_gradients_equal_autograd() -> None:
    model = randomised(tiny(smear="dynamic", bigram_buckets=11, bigram_dim=6, xsa_last_n=4, value_residual="pair"))
    tokens = random_tokens(model.config, 2, 8)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    functional = grad(lambda weights: functional_call(model, weights, (tokens, tokens.roll(-1, 1))))(parameters)
    model(tokens, tokens.roll(-1, 1)).backward()
    for name, parameter in model.named_parameters():
        expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(functional[name], expected)


def test_the_head_can_be_applied_to_some_positions_only() -> None:
    model = randomised(tiny())
    tokens = random_tokens(model.config, 2, 8)
    with torch.no_grad():
        torch.testing.assert_close(model.logits(model.hidden(tokens)[:, 5:]), model(tokens)[:, 5:])


def test_the_global_random_numbers_are_left_alone() -> None:
    state = torch.get_rng_state()
    first, second, third = GPT(tiny(), seed=4), GPT(tiny(), seed=4), GPT(tiny(), seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.tok_emb.weight, second.tok_emb.weight)
    assert not torch.equal(first.tok_emb.weight, third.tok_emb.weight)


def test_bf16_activations_keep_controls_in_float32() -> None:
    model = randomised(tiny(xsa_last_n=4, smear="static", bigram_buckets=11, bigram_dim=6))
    tokens = random_tokens(model.config, 2, 8)
    with torch.no_grad():
        exact = model(tokens)
        rounded = model.to_bf16_activations()
        assert {name for name, p in rounded.named_parameters() if p.dtype == torch.bfloat16} == {
            "tok_emb.weight",
            "bigram.embed.weight",
        }
        assert rounded.hidden(tokens).dtype == torch.bfloat16
        assert rounded(tokens).dtype == torch.float32
        torch.testing.assert_close(rounded(tokens), exact, rtol=0.1, atol=0.3)


def test_a_fresh_model_predicts_about_uniformly() -> None:
    model = GPT(tiny(vocab_size=200, model_dim=64, rope_dims=16))
    tokens = torch.arange(24).view(2, 12) * 5
    loss = model(tokens, tokens + 1).item()
    assert abs(loss - torch.log(torch.tensor(200.0)).item()) < 0.05
