"""Models small enough to check by hand, random ones with every option, and the contest's seed systems."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import Tensor

from reference_model import GPT, GPTConfig, load_preset


def tiny(**options: object) -> GPTConfig:
    """A configuration of 4 blocks of width 16, with ``options`` on top."""
    sizes = {
        "vocab_size": 23,
        "model_dim": 16,
        "num_layers": 4,
        "num_heads": 4,
        "num_kv_heads": 2,
        "mlp_hidden": 24,
        "rope_dims": 4,
        "context_len": 12,
    }
    return GPTConfig.from_mapping({**sizes, **options})


def randomised(config: GPTConfig, seed: int = 0) -> GPT:
    """A model in which every parameter differs from its initial value, so that no option is a no-op."""
    model = GPT(config, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model


def random_tokens(config: GPTConfig, rows: int, length: int, seed: int = 0) -> Tensor:
    """Tokens with a BOS at the start of each row and here and there inside."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(config.vocab_size, (rows, length), generator=generator)
    tokens[torch.rand(tokens.shape, generator=generator) < 0.15] = config.bos_id
    tokens[:, 0] = config.bos_id
    return tokens


@st.composite
def configs(draw: st.DrawFn) -> GPTConfig:
    """Any valid combination of options, at tiny sizes."""
    layers = draw(st.integers(1, 6))
    heads, kv_heads = draw(st.sampled_from([(1, 1), (2, 1), (4, 2), (4, 4)]))
    mode = draw(st.sampled_from(["none", "shared", "lanes", "lanes_matrix"]))
    lanes = mode.startswith("lanes")
    start = draw(st.integers(layers // 2 if lanes else 0, layers - 1)) if mode != "none" else None
    last_loopable = start - 1 if lanes and start is not None else layers - 1
    loop = sorted(draw(st.tuples(st.integers(0, max(last_loopable, 0)), st.integers(0, max(last_loopable, 0)))))
    num_loops = draw(st.integers(0, 2)) if last_loopable >= 0 else 0
    buckets = draw(st.sampled_from([0, 2, 11]))
    value_layers = draw(st.lists(st.integers(0, layers - 1), unique=True).map(sorted))
    return tiny(
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=kv_heads,
        embed_dim=draw(st.sampled_from([None, 12, 16, 20])),
        tie_embeddings=draw(st.booleans()),
        softcap_asym=draw(st.booleans()),
        mlp_slope=draw(st.sampled_from([0.0, 0.3, 0.5])),
        rope_ntk_train_len=draw(st.sampled_from([None, 4])),
        ln_scale=draw(st.booleans()),
        smear=draw(st.sampled_from(["none", "static", "dynamic"])),
        smear_window=draw(st.integers(1, 12)),
        smear_bos_mask=draw(st.booleans()),
        bigram_buckets=buckets,
        bigram_dim=draw(st.sampled_from([6, 16])),
        bigram_trigram=draw(st.booleans()) if buckets else False,
        xsa_last_n=draw(st.integers(0, layers)),
        value_embed_dim=draw(st.sampled_from([5, 8])) if value_layers else 0,
        value_embed_layers=value_layers,
        value_residual=draw(st.sampled_from(["none", "pair", "add", "sigmoid_add"])),
        attn_gate=draw(st.sampled_from(["none", "dense_bias", "dense", "window", "out2"])),
        attn_gate_window=draw(st.integers(1, 16)),
        attn_gate_mult=draw(st.sampled_from([0.5, 1.0])),
        skip_mode=draw(st.sampled_from(["plain", "gated"])),
        num_loops=num_loops,
        loop_start=loop[0] if num_loops else 0,
        loop_end=loop[1] if num_loops else 0,
        parallel_mode=mode,
        parallel_start=start,
        parallel_skip=draw(st.sampled_from(["before", "after"])),
        parallel_mix_in_residual=draw(st.booleans()),
        parallel_merge=draw(st.sampled_from(["lambda", "mean", "attn", "mlp"])),
        block_gate=False if lanes else draw(st.booleans()),
        attention=draw(st.sampled_from(["dense", "varlen"])),
        ortho_init=draw(st.booleans()),
        zero_init_proj=draw(st.booleans()),
    )


SEED_SYSTEMS = {name: load_preset(name) for name in ("baseline", "pr398", "pr779", "pr940", "pr1477", "pr2140")}
"""The five systems of the contest that the model was written for, and the repository's baseline."""
