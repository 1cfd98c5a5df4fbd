"""The first door: only a credited score makes tokens that may be learned from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluator.ledger import QUANTUM, Ledger, ScoredTokens, require_scored, to_fixed_point
from evaluator.mixer import build_mixer
from evaluator.scoring.adapt import Adapter


def tokens(n: int) -> np.ndarray[Any, np.dtype[np.uint16]]:
    return np.arange(n, dtype=np.uint16)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6))
def test_crediting_in_order_covers_each_position_once(parts: list[int]) -> None:
    ledger = Ledger(tokens(sum(parts) + 1))
    start = 0
    for part in parts:
        assert not ledger.exactly_once
        scored = ledger.credit(start, np.full(part, 3, np.int64))
        assert (scored.start, scored.stop) == (start, start + part)
        assert scored.tokens.tolist() == list(range(start, start + part + 1))
        start += part
    assert ledger.exactly_once
    assert ledger.total == 3 * sum(parts)


@pytest.mark.parametrize("start", [0, 1, 3])
def test_out_of_order_is_refused(start: int) -> None:
    ledger = Ledger(tokens(10))
    ledger.credit(0, np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="the next one is 2"):
        ledger.credit(start, np.zeros(2, np.int64))


def test_past_the_end_is_refused() -> None:
    with pytest.raises(ValueError, match="past the end"):
        Ledger(tokens(3)).credit(0, np.zeros(3, np.int64))


def test_a_second_score_is_counted_and_never_official() -> None:
    ledger = Ledger(tokens(4))
    with pytest.raises(ValueError, match="first one"):
        ledger.credit_again(np.array([0]), np.ones(1, np.int64))
    ledger.credit(0, np.ones(3, np.int64))
    assert ledger.exactly_once
    ledger.credit_again(np.array([1, 2]), np.ones(2, np.int64))
    assert (ledger.total, ledger.scored, ledger.exactly_once) == (5, 5, False)


def test_what_was_credited_cannot_be_changed_by_a_learner() -> None:
    stream = tokens(5)
    ledger = Ledger(stream)
    scored = ledger.credit(0, np.ones(2, np.int64))
    with pytest.raises(ValueError, match="read-only"):
        scored.nll[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        scored.tokens[0] = 9
    assert ledger.total == 2


def test_only_a_ledger_mints() -> None:
    with pytest.raises(TypeError, match="only a Ledger"):
        ScoredTokens(0, tokens(3), np.zeros(2, np.int64), cast("Any", None))


@pytest.mark.parametrize("impostor", [tokens(4), (0, tokens(4)), None])
def test_learning_from_anything_else_raises(impostor: object) -> None:
    with pytest.raises(TypeError, match="ScoredTokens"):
        require_scored(cast("Any", impostor))
    with pytest.raises(TypeError, match="ScoredTokens"):
        Adapter.adapt(cast("Any", object()), cast("Any", impostor))
    mixer = build_mixer("pitman_yor", tokens(8), 16, {})
    with pytest.raises(TypeError, match="ScoredTokens"):
        mixer.learn(cast("Any", impostor))


def test_learning_from_unscored_tokens_does_not_type_check(tmp_path: Path) -> None:
    program = tmp_path / "cheat.py"
    program.write_text(
        "import numpy as np\n"
        "from evaluator.ledger import Ledger, ScoredTokens\n"
        "from evaluator.mixer import Mixer\n"
        "from evaluator.scoring.adapt import Adapter\n"
        "def cheat(mixer: Mixer, adapter: Adapter, tokens: np.ndarray[tuple[int], np.dtype[np.uint16]]) -> None:\n"
        "    mixer.learn(tokens)\n"
        "    adapter.adapt(tokens)\n"
        "    adapter.adapt(ScoredTokens(0, tokens, np.zeros(3, np.int64)))\n"
        "def honest(mixer: Mixer, adapter: Adapter, ledger: Ledger) -> None:\n"
        "    scored = ledger.credit(0, np.zeros(3, np.int64))\n"
        "    mixer.learn(scored)\n"
        "    adapter.adapt(scored)\n"
    )
    # Our own types decide; to read those of torch takes 20 s.
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nstrict = True\n[mypy-torch.*,numba.*]\nfollow_imports = skip\n")
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", settings, "--cache-dir", tmp_path / "cache", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    errors = [line for line in result.stdout.splitlines() if "cheat.py" in line and "error" in line]
    assert {int(line.split(":")[1]) for line in errors} == {6, 7, 8}, result.stdout


@given(st.lists(st.floats(0, 40), min_size=1, max_size=20))
def test_rounding_is_once_and_to_the_nearest(values: list[float]) -> None:
    nll = np.array(values)
    assert np.abs(to_fixed_point(nll) * QUANTUM - nll).max() <= QUANTUM / 2


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_scores_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"finite|above one"):
        to_fixed_point(np.array([1.0, bad]))
