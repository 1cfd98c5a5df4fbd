"""Window plans: the counts of the published systems, and coverage for any stream."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.scoring.windows import plan_windows
from evaluator.settings import WindowSettings


@pytest.mark.parametrize(
    ("plan", "positions", "windows", "again"),
    [("W-A", 62_021_632, 969_088, 1984), ("W-B", 62_021_632, 969_057, 0), ("W-C", 40_540_160, 633_409, 0)],
)
def test_counts_of_the_published_systems(
    plan: Literal["W-A", "W-B", "W-C"], positions: int, windows: int, again: int
) -> None:
    laid = plan_windows(WindowSettings(plan, 2048, 64), positions)
    assert len(laid) == windows
    assert int(laid.coverage().sum()) - positions == again
    assert laid.exactly_once() == (again == 0)


def test_chunks_of_pr1477() -> None:
    assert len(plan_windows(WindowSettings("W-C", 2048, 64), 40_540_160).chunks(32_768)) == 1238


sizes = st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 120))


@given(sizes)
def test_wc_scores_each_position_once_in_order(size: tuple[int, int, int]) -> None:
    stride, factor, positions = size
    plan = plan_windows(WindowSettings("W-C", stride * factor, stride), positions)
    scored = np.concatenate([np.arange(a, b) for a, b in zip(plan.first, plan.stop, strict=True)])
    assert scored.tolist() == list(range(positions))
    assert plan.exactly_once()


@given(sizes, st.sampled_from(["W-A", "W-B", "W-C"]), st.integers(1, 5))
def test_every_plan_covers_all_and_chunks_part_its_windows(
    size: tuple[int, int, int], name: Literal["W-A", "W-B", "W-C"], turns: int
) -> None:
    stride, factor, positions = size
    length = stride * factor
    plan = plan_windows(WindowSettings(name, length, stride), positions)
    assert (plan.coverage() >= 1).all()
    assert (plan.start <= plan.first).all()
    assert (plan.first < plan.stop).all()
    assert (plan.stop - plan.start <= length).all()
    chunk = length * turns
    chunks = plan.chunks(chunk)
    assert [w for windows in chunks for w in windows] == list(range(len(plan)))
    for windows in chunks[:-1]:
        # No window straddles: all that a chunk scores lies within it, so a turn credits whole chunks.
        assert (
            len({int(plan.first[w]) // chunk for w in windows} | {(int(plan.stop[w]) - 1) // chunk for w in windows})
            == 1
        )


@given(sizes)
def test_later_windows_give_full_context(size: tuple[int, int, int]) -> None:
    stride, factor, positions = size
    length = stride * factor
    plan = plan_windows(WindowSettings("W-C", length, stride), positions)
    assert (plan.first[1:] - plan.start[1:] == length - stride).all()


@pytest.mark.parametrize(("length", "stride"), [(8, 3), (0, 1), (4, 0)])
def test_strides_that_do_not_divide_are_refused(length: int, stride: int) -> None:
    with pytest.raises(ValueError, match="must divide"):
        WindowSettings("W-C", length, stride)
