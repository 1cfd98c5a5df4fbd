"""What the shapes of a model's tensors reveal: its sizes, but neither its schedule nor its rotary settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

Shape = tuple[int, ...]

_BLOCK: Final = re.compile(r"blocks\.(\d+)\.")
_AXES: Final[Mapping[str, tuple[str, int]]] = {
    "vocabulary size": ("tok_emb.weight", 0),
    "embedding width": ("tok_emb.weight", 1),
    "model width": ("blocks.0.attn.c_q.weight", 1),
    "heads": ("blocks.0.attn.q_gain", 0),
    "key/value width": ("blocks.0.attn.c_k.weight", 0),
    "MLP width": ("blocks.0.mlp.fc.weight", 0),
    "skip connections": ("skip.weight", 0),
    "bigram buckets": ("bigram.embed.weight", 0),
    "bigram width": ("bigram.embed.weight", 1),
    "value-embedding width": ("value_emb.embed.weight", 1),
}
_PARTS: Final[Mapping[str, Callable[[Mapping[str, Shape]], bool]]] = {
    "an untied output head": lambda shapes: "lm_head.weight" in shapes,
    "gated skips": lambda shapes: "skip.gate" in shapes,
    "a static smear gate": lambda shapes: "smear_static.gate" in shapes,
    "a dynamic smear gate": lambda shapes: "smear_dyn.weight" in shapes,
    "dense attention gates": lambda shapes: "blocks.0.attn.gate_dense.weight" in shapes,
    "windowed attention gates": lambda shapes: "blocks.0.attn.gate_window.weight" in shapes,
    "value residuals": lambda shapes: any(".attn.vr_" in name for name in shapes),
    "parallel lanes": lambda shapes: any(name.startswith("parallel.") for name in shapes),
}


def revealed(shapes: Mapping[str, Shape]) -> dict[str, int]:
    """Sizes of the model with tensors of these ``shapes`` (by canonical name), by what they are called in messages."""
    blocks = {int(found[1]) for name in shapes if (found := _BLOCK.match(name))}
    sizes = {"layers": len(blocks)}
    for title, (name, axis) in _AXES.items():
        shape = shapes.get(name, ())
        if len(shape) > axis:
            sizes[title] = shape[axis]
    return sizes


def differences(artifact: Mapping[str, Shape], model: Mapping[str, Shape]) -> list[str]:
    """In words, where the sizes that ``artifact`` reveals differ from those of ``model``; both by canonical name."""
    ours, theirs = revealed(artifact), revealed(model)
    lines = [
        f"{title}: artifact {ours[title]}, model {theirs[title]}"
        for title in theirs
        if title in ours and ours[title] != theirs[title]
    ]
    for title, has in _PARTS.items():
        if has(artifact) != has(model):
            lines.append(f"{title}: only in the {'artifact' if has(artifact) else 'model'}")
    return lines
