"""An evaluation preset at the size of a smaller stream and model.

The published numbers belong to 62 million tokens and windows of 2,048. On a smaller stream the same number of table
buckets would stay empty and one chunk would hold everything, so whatever counts tokens shrinks with the stream:
chunks, tokens per training step, buckets. A table then ends as full as in the published run, and its score depends on
that.
"""

from __future__ import annotations

import math
from typing import Any

from msgspec.structs import replace

from evaluator.settings import AdaptSettings, EvalPreset, ScoringSettings, WindowSettings

_COUNTS = frozenset({"prefix_documents", "global_chunk"})
"""Settings of published systems that count documents or tokens of the stream."""


def scale(preset: EvalPreset, positions: int, context_len: int | None) -> tuple[EvalPreset, tuple[str, ...]]:
    """``preset`` for a stream of ``positions`` positions and a model trained on ``context_len`` of them.

    Args:
        preset: at its own size.
        positions: of the stream.
        context_len: of the model; None without a model.

    Returns:
        The preset and what was changed, one line each. Nothing grows.
    """
    share = min(positions / preset.positions, 1.0)
    scoring, notes = preset.scoring, []
    windows = _windows(scoring.windows, context_len)
    chunk = max(round(scoring.chunk * share / windows.length), 1) * windows.length if share < 1 else scoring.chunk
    ttt = scoring.ttt and _training(scoring.ttt, share * scoring.windows.length / windows.length)
    rows = min(scoring.gradient_rows, ttt.step_sequences) if ttt else scoring.gradient_rows
    batch = min(scoring.micro_batch, chunk // windows.stride)
    new = replace(scoring, windows=windows, chunk=chunk, ttt=ttt, gradient_rows=rows, micro_batch=batch)
    notes += _differences(scoring, new)
    published = preset.published
    if published is not None and share < 1:
        counts = _COUNTS & published.settings.keys()
        smaller = {name: max(round(published.settings[name] * share), 1) for name in counts}
        notes += [f"{name} {published.settings[name]:,} -> {value:,}" for name, value in sorted(smaller.items())]
        published = replace(published, settings={**published.settings, **smaller})
    if published is not None and "buckets" in published.settings and share < 1:
        full = int(published.settings["buckets"])
        buckets = 2 ** max(round(math.log2(full * share)), 0)
        loads = positions / buckets, preset.positions / full
        notes.append(
            f"buckets {full:,} -> {buckets:,}: {loads[0]:.1f} tokens of the stream per bucket, "
            f"{loads[1]:.1f} in the published run"
        )
        settings: dict[str, Any] = {**published.settings, "buckets": buckets}
        published = replace(published, settings=settings)
    return replace(preset, scoring=new, published=published), tuple(notes)


def _windows(windows: WindowSettings, context_len: int | None) -> WindowSettings:
    """No longer than what the model was trained on."""
    length = min(windows.length, context_len or windows.length)
    return replace(windows, length=length, stride=math.gcd(min(windows.stride, length), length))


def _training(ttt: AdaptSettings, share: float) -> AdaptSettings:
    """As many steps per epoch as before, each on ``share`` of the sequences."""
    return replace(ttt, step_sequences=max(round(ttt.step_sequences * min(share, 1.0)), 1))


def _differences(old: ScoringSettings, new: ScoringSettings) -> list[str]:
    pairs = [
        ("window", old.windows.length, new.windows.length),
        ("stride", old.windows.stride, new.windows.stride),
        ("chunk", old.chunk, new.chunk),
        ("sequences per step", old.ttt and old.ttt.step_sequences, new.ttt and new.ttt.step_sequences),
    ]
    return [f"{name} {before:,} -> {after:,}" for name, before, after in pairs if before and after and before != after]
