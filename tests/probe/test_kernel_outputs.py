"""Which output of a compiled kernel is named beside scores that are no distribution."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.probe.design import Change, make_design, single_change
from auditor.probe.kernel_outputs import moved_outputs
from auditor.probe.record import KERNEL, Event, Recording, Site

DESIGN = make_design(24, 64)
CHANGE = single_change(DESIGN)
AT = CHANGE.position
HINTS, STATE = Site(KERNEL, "hints.so", "build", 6, 0), Site(KERNEL, "hints.so", "build", 5, 0)


def recording(moved: list[int], size: int = DESIGN.targets + 1) -> Recording:
    hints, state = np.full(size, -1.0), np.zeros(24 * 24)
    hints[moved], state[moved] = 7.0, 7.0
    return Recording("ok", "", "main", events=(Event(STATE, state, 0), Event(HINTS, hints, 1)))


@pytest.mark.parametrize(("moved", "named"), [([AT], AT), ([AT - 3, AT, AT + 2], AT - 3)])
def test_an_entry_of_the_token_itself_or_of_an_earlier_one_is_named(moved: list[int], named: int) -> None:
    found = moved_outputs({Change("base"): recording([]), CHANGE: recording(moved)}, DESIGN)
    assert found == {AT: f"build() in hints.so then writes another entry {named} of its argument 6"}


@pytest.mark.parametrize("moved", [[], [AT + 1, AT + 5]])
def test_entries_of_later_tokens_are_nobodys_fault(moved: list[int]) -> None:
    assert moved_outputs({Change("base"): recording([]), CHANGE: recording(moved)}, DESIGN) == {}


def test_arrays_without_an_entry_per_token_are_state() -> None:
    assert moved_outputs({Change("base"): recording([], 300), CHANGE: recording([AT], 300)}, DESIGN) == {}
