"""Presets at the size of smaller data."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.scaling import scale
from evaluator.settings import eval_preset_names, load_eval_preset


def test_at_full_size_nothing_changes() -> None:
    for name in eval_preset_names():
        preset = load_eval_preset(name)
        assert scale(preset, preset.positions, 4096) == (preset, ())


def test_a_table_ends_as_full_as_in_the_published_run() -> None:
    preset = load_eval_preset("pr779-as-published")
    small, notes = scale(preset, 1_040_297, None)
    assert small.published is not None
    assert small.published.settings["buckets"] == 65_536
    assert any("15.9 tokens of the stream per bucket, 14.8 in the published run" in note for note in notes)
    assert 50 < 1_040_297 / small.scoring.chunk < 70  # 60 chunks in the published run


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(1, 70_000_000), st.none() | st.integers(1, 4096), st.sampled_from(eval_preset_names()))
def test_every_size_gives_settings_that_can_be(positions: int, context: int | None, name: str) -> None:
    preset = load_eval_preset(name)
    small, _ = scale(preset, positions, context)
    assert small.scoring.windows.length <= (context or preset.scoring.windows.length)
    assert small.scoring.chunk <= max(preset.scoring.chunk, small.scoring.windows.length)
    if small.published and "buckets" in small.published.settings:
        buckets = small.published.settings["buckets"]
        full = preset.positions / preset.published.settings["buckets"] if preset.published else 0
        assert buckets & (buckets - 1) == 0
        if buckets > 1 and positions < preset.positions:
            assert positions / buckets == pytest.approx(full, rel=0.5)
