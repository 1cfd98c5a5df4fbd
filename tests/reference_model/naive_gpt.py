"""The forward pass written again as the formulas read, in float64 numpy, one position and one head at a time.

An independent reference for the serial model: no vectorised attention, no shared code, no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, exp, sin, sqrt, tanh

import numpy as np
import numpy.typing as npt

from reference_model import GPTConfig

Array = npt.NDArray[np.float64]
Weights = Mapping[str, Array]


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x))


def rms(x: Array, eps: float) -> Array:
    return x / sqrt(float(np.mean(x * x)) + eps)


def turned(u: Array, position: int, config: GPTConfig, length: int) -> Array:
    """Rotary: pairs (j, j + r/2) turned by position * frequency."""
    r, base = config.rope_dims, config.rope_base
    trained = config.rope_ntk_train_len
    if trained is not None and length > trained:
        base *= (length / trained) ** (r / (r - 2))
    out = u.copy()
    for j in range(r // 2):
        angle = position * base ** (-2 * j / r)
        a, b = u[j], u[j + r // 2]
        out[j] = a * cos(angle) + b * sin(angle)
        out[j + r // 2] = -a * sin(angle) + b * cos(angle)
    return out


def attention(n: list[Array], w: Weights, prefix: str, index: int, config: GPTConfig) -> list[Array]:
    """Outputs per position, after the output projection."""
    d, group, length = config.head_dim, config.num_heads // config.num_kv_heads, len(n)
    queries = [w[prefix + "c_q.weight"] @ x for x in n]
    keys = [w[prefix + "c_k.weight"] @ x for x in n]
    values = [w[prefix + "c_v.weight"] @ x for x in n]
    out = []
    for p in range(length):
        heads = []
        for h in range(config.num_heads):
            mine = slice(h * d, (h + 1) * d)
            theirs = slice(h // group * d, (h // group + 1) * d)
            q = turned(rms(queries[p][mine], config.norm_eps), p, config, length) * w[prefix + "q_gain"][h]
            scores = []
            for t in range(p + 1):
                k = turned(rms(keys[t][theirs], config.norm_eps), t, config, length)
                scores.append(float(q @ k) / sqrt(d))
            weights = [exp(score - max(scores)) for score in scores]
            y = sum((weights[t] * values[t][theirs] for t in range(p + 1)), np.zeros(d)) / sum(weights)
            if index >= config.num_layers - config.xsa_last_n:
                unit = values[p][theirs] / np.linalg.norm(values[p][theirs])
                y = y - (y @ unit) * unit
            if config.attn_gate == "dense_bias":
                gate = w[prefix + "gate_dense.weight"][h] @ n[p] + w[prefix + "gate_dense.bias"][h]
                y = y * sigmoid(float(gate))
            heads.append(y)
        out.append(w[prefix + "proj.weight"] @ np.concatenate(heads))
    return out


def feed_forward(x: Array, w: Weights, prefix: str, config: GPTConfig) -> Array:
    hidden = np.array([(u if u > 0 else config.mlp_slope * u) ** 2 for u in w[prefix + "fc.weight"] @ x])
    out: Array = w[prefix + "proj.weight"] @ hidden
    return out


def logits(tokens: list[int], w: Weights, config: GPTConfig) -> Array:
    """[S, V] for one row of tokens: serial blocks, plain or gated skips, tied head, no smear or extra embeddings."""
    eps = config.norm_eps
    x0 = [rms(w["tok_emb.weight"][token], eps) for token in tokens]
    x = x0
    half = config.num_layers // 2
    saved: list[list[Array]] = []
    for index in range(config.num_layers):
        if index >= half and saved:
            step, popped = index - half, saved.pop()
            scaled = [w["skip.weight"][step] * u for u in popped]
            if config.skip_mode == "gated":
                g = 1 / (1 + np.exp(-w["skip.gate"][step]))
                x = [g * a + (1 - g) * b for a, b in zip(x, scaled, strict=True)]
            else:
                x = [a + b for a, b in zip(x, scaled, strict=True)]
        prefix = f"blocks.{index}."
        m0, m1 = w[prefix + "resid_mix"]
        scale = 1 / sqrt(index + 1) if config.ln_scale else 1.0
        z = [m0 * a + m1 * b for a, b in zip(x, x0, strict=True)]
        attended = attention([scale * rms(a, eps) for a in z], w, prefix + "attn.", index, config)
        z = [a + w[prefix + "attn_scale"] * b for a, b in zip(z, attended, strict=True)]
        fed = [feed_forward(scale * rms(a, eps), w, prefix + "mlp.", config) for a in z]
        x = [a + w[prefix + "mlp_scale"] * b for a, b in zip(z, fed, strict=True)]
        if index < half:
            saved.append(x)
    cap = config.logit_softcap
    raw = np.array([w["tok_emb.weight"] @ rms(a, eps) for a in x])
    capped: Array = np.vectorize(lambda value: cap * tanh(value / cap))(raw)
    return capped
