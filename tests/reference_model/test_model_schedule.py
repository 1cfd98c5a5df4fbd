"""The order of blocks."""

from __future__ import annotations

from hypothesis import given, settings
from tiny_models import SEED_SYSTEMS, configs

from reference_model import GPTConfig, Schedule, schedule


def test_pr1477_runs_fifteen_steps() -> None:
    expected = Schedule(encoder=(0, 1, 2, 3, 4, 5, 4), decoder=(5, 4, 5, 6, 7, 8, 9, 10))
    assert schedule(SEED_SYSTEMS["pr1477"]) == expected
    assert expected.num_skips == 7


def test_pr2140_runs_seventeen_steps() -> None:
    expected = Schedule(encoder=(0, 1, 2, 3, 4, 5, 3, 4), decoder=(5, 3, 4, 5, 6, 7, 8, 9, 10))
    assert schedule(SEED_SYSTEMS["pr2140"]) == expected
    assert expected.num_skips == 8


def test_skip_counts_of_models_without_loops() -> None:
    assert {name: schedule(SEED_SYSTEMS[name]).num_skips for name in ("baseline", "pr398", "pr779", "pr940")} == {
        "baseline": 4,
        "pr398": 5,
        "pr779": 5,
        "pr940": 5,
    }


def test_without_the_loop_each_block_runs_once() -> None:
    plain = schedule(SEED_SYSTEMS["pr1477"], looping=False)
    assert plain == Schedule(encoder=(0, 1, 2, 3, 4), decoder=(5, 6, 7, 8, 9, 10))


@given(configs())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_lanes_begin_in_the_decoder_and_never_end(config: GPTConfig) -> None:
    if not config.has_lanes or config.parallel_start is None:
        return
    for looping in (False, True):
        plan = schedule(config, looping=looping)
        assert all(block < config.parallel_start for block in plan.encoder)
        on_lanes = [block >= config.parallel_start for block in plan.decoder]
        assert on_lanes == sorted(on_lanes)
