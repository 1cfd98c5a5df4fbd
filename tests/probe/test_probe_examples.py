"""Submissions that are complete and small, through the whole command: what is proved, and that honest ones pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from auditor.cli import COMMANDS
from auditor.exits import Exit
from auditor.sandbox import Tier, available_tier

EXAMPLES = Path(__file__).parents[2] / "examples" / "submissions"
QUICK = ("honest_score_first_ttt", "prequant_val_ttt", "oracle_min")
"""Run by every test run; an honest one, one through the whole of main, one through a forked scorer."""

PROVED = {
    "averaged_ranks_ttt": None,
    "bytes_counted_twice": "bpb-denominator",
    "compiled_target_gated_hint": "hint-gated-by-target",
    "dormant_feature": None,
    "exchanged_ranks_ttt": "ttt-before-score",
    "hashed_ngram_cache": "ngram-target-in-key",
    "hashed_ngram_unnormalised": "ngram-not-normalised",
    "honest_exact_ngram": None,
    "honest_score_first_ttt": None,
    "honest_sliding": None,
    "multi_epoch_ttt_rescore": "ttt-rescore-epochs",
    "oracle_min": "oracle-min-nll",
    "prequant_val_ttt": "prequant-val-ttt",
    "slot": "slot-on-scored-positions",
    "target_gated_hint": "hint-gated-by-target",
    "training_data_at_eval": "training-data-at-eval",
    "ttt_before_score": "ttt-before-score",
    "two_pass_rescore": "two-pass-rescore",
}
"""The rule that an experiment proves, None for the honest ones."""

LATENT = {"dormant_feature": [("TTT_ENABLED=1", "ttt-before-score", "proved")]}
"""What a switch that is off would break."""

DOUBTED = {"scheduled_ttt": "ttt-before-score"}
"""Honest ones of which the rule has a path that no run bears out."""

pytestmark = pytest.mark.skipif(available_tier() is Tier.NONE, reason="no sandbox works here")


def audit(*arguments: object) -> tuple[int, str]:
    """The command's exit code and output."""
    words = [str(word) for word in arguments]
    word = words.pop(0) if words[0] in COMMANDS else ""
    result = CliRunner().invoke(COMMANDS[word], words, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout


def examples() -> list[Any]:
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.examples) for name in sorted(PROVED)]


def test_every_example_is_tested() -> None:
    assert sorted([*PROVED, *DOUBTED]) == sorted(path.name for path in EXAMPLES.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", examples())
def test_the_experiments_prove_what_is_wrong_and_nothing_else(name: str, tmp_path: Path) -> None:
    code, output = audit(EXAMPLES / name, "--format", "json", "--save-evidence", tmp_path)
    report = json.loads(output)
    proved = [rule["rule"] for rule in report["rules"] if rule["status"] == "proved"]
    assert report["coverage"]["probe"]["ran"]
    assert report["coverage"]["probe"]["reason"] == ""
    assert (code, proved) == ((0, []) if PROVED[name] is None else (1, [PROVED[name]]))
    latent = [(entry["switch"], entry["rule"], entry["status"]) for entry in report["coverage"]["probe"]["latent"]]
    assert latent == LATENT.get(name, [])
    for file in tmp_path.iterdir():
        confirmed, said = audit("replay", file, EXAMPLES / name)
        assert (confirmed, said.split(":")[0]) == (1, "confirmed")
    assert bool(list(tmp_path.iterdir())) == bool(proved or latent)


@pytest.mark.slow
@pytest.mark.examples
@pytest.mark.parametrize("name", sorted(DOUBTED))
def test_a_path_that_no_run_bears_out_asks_for_review(name: str) -> None:
    assert audit(EXAMPLES / name, "--no-probe")[0] == Exit.FAILED
    code, output = audit(EXAMPLES / name, "--format", "json")
    (doubted,) = (rule for rule in json.loads(output)["rules"] if rule["status"] == "suspected")
    assert (code, doubted["rule"]) == (Exit.REFUSED, DOUBTED[name])
    (finding,) = doubted["findings"]
    assert finding["path"]
    assert finding["experiment"].startswith("did not confirm it: the adaptation ran")
