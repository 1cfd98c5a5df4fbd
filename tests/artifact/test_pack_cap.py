"""What is given up for the byte cap, and in which order."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from evaluator.packing.cap import PRUNED, Measures, escalation, first_that_fits
from evaluator.packing.recipes import RECIPES


def test_layers_fall_back_outward_from_the_middle_and_weights_go_last() -> None:
    steps = escalation(RECIPES["gptq"], 11)
    assert [sorted(step.narrowed) for step in steps[:5]] == [[], [5], [5, 6], [4, 5, 6], [4, 5, 6, 7]]
    assert steps[11] == Measures(frozenset(range(11)), 0.0)
    assert [step.prune for step in steps[12:]] == list(PRUNED)
    assert all(a.narrowed <= b.narrowed and a.prune <= b.prune for a, b in pairwise(steps))


def test_what_has_five_bits_already_is_only_pruned() -> None:
    assert escalation(RECIPES["pruned"], 4) == [Measures(frozenset(), prune) for prune in (0.08, *PRUNED)]


def test_floats_have_nothing_to_give_up() -> None:
    assert escalation(RECIPES["float32"], 4) == [Measures(frozenset(), 0.0)]


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.sampled_from(sorted(RECIPES)), st.integers(1, 12), st.integers(0, 20))
def test_the_mildest_that_fits_is_found_with_few_trials(name: str, layers: int, enough: int) -> None:
    steps, asked = escalation(RECIPES[name], layers), []

    def fits(measures: Measures) -> bool:
        asked.append(measures)
        return steps.index(measures) >= enough

    assert first_that_fits(steps, fits) == (steps[enough] if enough < len(steps) else None)
    assert len(asked) == len(set(asked)) <= 2 + len(steps).bit_length()
    assert enough > 0 or asked == steps[:1]
