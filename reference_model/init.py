"""Initial values of a model's parameters."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn

from reference_model.config import GPTConfig

# By the last part of a canonical name, or of the two last parts where one is not enough.
_CONSTANTS: dict[str, float] = {
    "attn_scale": 1.0,
    "mlp_scale": 1.0,
    "bigram.scale": 0.05,
    "value_emb.scale": 0.1,
    "smear_static.gate": 0.0,
    "smear_dyn.weight": 0.0,
    "smear_dyn.lam": 0.0,
    "skip.weight": 1.0,
    "skip.gate": 0.0,
    "parallel.merge": 0.5,
    "parallel.post": 1.0,
    "parallel.resid": 1.1,
    "attn.vr_pair": 0.5,
    "attn.vr_scalar": 0.0,
    "gate_dense.weight": 0.0,
    "gate_dense.bias": 4.0,
    "gate_window.weight": 0.0,
    "block_gate.weight": 0.0,
    "block_gate.bias": 2.0,
    "bigram.embed.weight": 0.0,
    "lm_head.weight": 0.0,
}
_VALUE_EMBED_STD = 0.01
_OUTPUT_PROJECTIONS = ("attn.proj.weight", "mlp.proj.weight")


@torch.no_grad()
def initialise(model: nn.Module, config: GPTConfig, generator: torch.Generator) -> None:
    """Fill every parameter of ``model`` (on the CPU, float32) as the systems' own trainers do.

    Gates start where they change nothing or as their system starts them; output projections at zero, other matrices
    orthogonal or uniform in ``+-1/sqrt(fan_in)``, as the configuration says.
    """
    for name, parameter in model.named_parameters():
        _fill(name, parameter, config, generator)


def _fill(name: str, parameter: Tensor, config: GPTConfig, generator: torch.Generator) -> None:
    constant = _constant(name, config)
    if constant is not None:
        parameter.fill_(constant)
    elif name.endswith("resid_mix"):
        parameter[0].fill_(1.0)
        parameter[1].fill_(0.0)
    elif name == "tok_emb.weight":
        parameter.normal_(0.0, config.embed_init_std, generator=generator)
    elif name == "value_emb.embed.weight":
        parameter.normal_(0.0, _VALUE_EMBED_STD, generator=generator)
    elif config.ortho_init:
        nn.init.orthogonal_(parameter, generator=generator)
    else:
        bound = 1 / sqrt(parameter.size(1))
        parameter.uniform_(-bound, bound, generator=generator)


def _constant(name: str, config: GPTConfig) -> float | None:
    for suffix, value in _CONSTANTS.items():
        if name == suffix or name.endswith("." + suffix):
            return value
    if name.endswith("q_gain"):
        return config.qk_gain_init
    if name.startswith(("softcap.", "value_emb.layer_scale.")):
        return config.logit_softcap if name.startswith("softcap.") else 1.0
    if name.endswith(_OUTPUT_PROJECTIONS) and config.zero_init_proj:
        return 0.0
    return None
