from __future__ import annotations

import subprocess
import sys
from typing import Any

import numba
import numpy as np
import pytest

from evaluator.mixer import build_mixer
from evaluator.mixer.kernels.compiled import compiled

TOKENS = np.array([1, 2, 3], np.uint16)


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="there are backoff, none, pitman_yor, tilt"):
        build_mixer("hashed", TOKENS, 4, {})
    with pytest.raises(ValueError, match=r"no setting buckets; it has order, min_count, low"):
        build_mixer("backoff", TOKENS, 4, {"buckets": 4})
    with pytest.raises(ValueError, match="it has none"):
        build_mixer("none", TOKENS, 4, {"order": 4})


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("backoff", {"span": 0.95}),
        ("backoff", {"min_count": 0}),
        ("pitman_yor", {"openness": 0.0}),
        ("pitman_yor", {"order": 17}),
        ("pitman_yor", {"batch": 0}),
        ("tilt", {"beta": -1.0}),
        ("tilt", {"min_confidence": 2.0}),
        ("tilt", {"rate": -0.1}),
    ],
)
def test_values_out_of_range_are_refused(name: str, settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"between|at least|counted|lies|or more"):
        build_mixer(name, TOKENS, 4, settings)


def test_numba_is_imported_when_a_mixer_that_counts_is_built_and_not_before() -> None:
    program = """
import sys, numpy, evaluator.mixer
evaluator.mixer.build_mixer("none", numpy.array([1, 2], numpy.uint16), 4, {})
assert "numba" not in sys.modules
evaluator.mixer.build_mixer("backoff", numpy.array([1, 2], numpy.uint16), 4, {})
assert "numba" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_loop_is_compiled_where_there_is_no_place_to_keep_it() -> None:
    """A function without a file stands for an installation that nobody may write to, and a user without a home."""
    names: dict[str, Any] = {}
    exec("def twice(x): return 2 * x", names)
    with pytest.raises(RuntimeError, match="cannot cache"):
        numba.njit(cache=True)(names["twice"])
    assert compiled(names["twice"])(21) == 42
