"""The canonical names and shapes of a model's tensors, computed without building it."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from reference_model.config import GPTConfig
from reference_model.schedule import schedule

Shape = tuple[int, ...]


def state_layout(config: GPTConfig) -> dict[str, Shape]:
    """Shape of every tensor by canonical name, in the order of ``GPT(config).state_dict()``."""
    layout = dict(_embeddings(config)) | dict(_joints(config))
    for index in range(config.num_layers):
        layout |= {f"blocks.{index}.{name}": shape for name, shape in _block(config, index)}
    return layout


def num_parameters(config: GPTConfig) -> int:
    """Number of parameters, shared ones counted once: the tied head and repeated blocks add nothing."""
    return sum(prod(shape) for shape in state_layout(config).values())


def _embeddings(config: GPTConfig) -> Iterator[tuple[str, Shape]]:
    V, D, E = config.vocab_size, config.model_dim, config.embedding_width
    yield "tok_emb.weight", (V, E)
    if E != D:
        yield "embed_proj.weight", (D, E)
        yield "head_proj.weight", (E, D)
    if not config.tie_embeddings:
        yield "lm_head.weight", (V, E)
    if config.bigram_buckets:
        yield "bigram.scale", ()
        yield "bigram.embed.weight", (config.bigram_buckets, config.bigram_dim)
        if config.bigram_dim != E:
            yield "bigram.proj.weight", (E, config.bigram_dim)
    if config.smear == "static":
        yield "smear_static.gate", (D,)
    if config.smear == "dynamic":
        yield "smear_dyn.weight", (1, config.smear_window)
        yield "smear_dyn.lam", (1,)
    if config.value_embed_dim:
        yield "value_emb.scale", ()
        yield "value_emb.embed.weight", (V, config.value_embed_dim)
        if config.value_embed_dim != config.kv_dim:
            yield "value_emb.proj.weight", (config.kv_dim, config.value_embed_dim)
        for layer in config.value_embed_layers:
            yield f"value_emb.layer_scale.{layer}", (1,)


def _joints(config: GPTConfig) -> Iterator[tuple[str, Shape]]:
    D, num_skips = config.model_dim, schedule(config).num_skips
    yield "skip.weight", (num_skips, D)
    if config.skip_mode == "gated":
        yield "skip.gate", (num_skips, D)
    if config.has_lanes and config.parallel_merge == "lambda":
        yield "parallel.merge", ()
    if config.parallel_mode == "lanes_matrix":
        yield "parallel.post", (config.num_layers, 2, 2)
        yield "parallel.resid", (config.num_layers, 2)
    if config.softcap_asym:
        yield "softcap.pos", ()
        yield "softcap.neg", ()


def _block(config: GPTConfig, index: int) -> Iterator[tuple[str, Shape]]:
    D, H, F, kv = config.model_dim, config.num_heads, config.mlp_hidden, config.kv_dim
    yield "attn_scale", (D,)
    yield "mlp_scale", (D,)
    yield "resid_mix", (2, D)
    yield "attn.q_gain", (H,)
    if config.value_residual == "pair":
        yield "attn.vr_pair", (2,)
    elif config.value_residual == "add" and index:
        yield "attn.vr_scalar", ()
    elif config.value_residual == "sigmoid_add":
        yield "attn.vr_scalar", (1,)
    yield "attn.c_q.weight", (D, D)
    yield "attn.c_k.weight", (kv, D)
    yield "attn.c_v.weight", (kv, D)
    yield "attn.proj.weight", (D, D)
    if config.attn_gate in ("dense", "dense_bias"):
        yield "attn.gate_dense.weight", (H, D)
    if config.attn_gate == "dense_bias":
        yield "attn.gate_dense.bias", (H,)
    if config.attn_gate in ("window", "out2"):
        yield "attn.gate_window.weight", (H, config.attn_gate_window)
    yield "mlp.fc.weight", (F, D)
    yield "mlp.proj.weight", (D, F)
    if config.block_gate:
        yield "block_gate.weight", (1, D)
        yield "block_gate.bias", (1,)
