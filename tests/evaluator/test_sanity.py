"""The check of a model by its loss, and what it is compared with."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_evaluate import evaluate

from evaluator.sanity import TOLERANCE, Expected, read_expected, sanity_preset, verdict
from evaluator.scorecard import Scorecard

LOG = """\
code = "final_int6_roundtrip_exact val_loss:0.1 val_bpb:0.1"
step:20 val_loss:2.0 val_bpb:1.5
{ttt}
final_int6_roundtrip val_loss:1.9190 val_bpb:1.1365 eval_time:5642ms
final_int6_roundtrip_exact val_loss:1.91896755 val_bpb:1.13652067
final_int6_sliding_window_exact val_loss:1.8 val_bpb:1.0
"""


def log(tmp_path: Path, text: str) -> str:
    path = tmp_path / "train.log"
    path.write_text(text)
    return str(path)


def test_a_number_is_a_number() -> None:
    assert read_expected("1.25") == Expected(1.25, "as given")


def test_the_round_trips_line_is_found_in_a_log(tmp_path: Path) -> None:
    expected = read_expected(log(tmp_path, LOG.format(ttt="")))
    assert expected == Expected(1.13652067, "train.log: final_int6_roundtrip_exact")


def test_an_adapted_models_line_is_marked(tmp_path: Path) -> None:
    assert "perhaps of the adapted model" in read_expected(log(tmp_path, LOG.format(ttt="ttt:epoch 1/20"))).source


@pytest.mark.parametrize("label", ["quantized", "diagnostic quantized"])
def test_later_systems_call_it_quantized(label: str, tmp_path: Path) -> None:
    text = f"{label} val_loss:2.84 val_bpb:1.10180653\nquantized_sliding_window val_loss:2.8 val_bpb:1.0846\n"
    assert read_expected(log(tmp_path, text)).bpb == 1.10180653


@pytest.mark.parametrize("value", ["", "missing.log"])
def test_what_is_neither_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither a number nor a log"):
        read_expected(str(tmp_path / value) if value else str(tmp_path))
    with pytest.raises(ValueError, match="no line with the loss"):
        read_expected(log(tmp_path, "step:20 val_loss:2.0 val_bpb:1.5\n"))


@pytest.mark.parametrize(("difference", "agrees"), [(0.0, True), (0.9 * TOLERANCE, True), (-1.1 * TOLERANCE, False)])
def test_the_verdict(difference: float, agrees: bool) -> None:
    card = Scorecard(status="scored", contest="c", bpb=1.5 + difference)
    line, verdict_agrees = verdict(card, Expected(1.5, "as given"))
    assert verdict_agrees is agrees
    assert ("agrees" in line) is agrees
    assert ("DIFFERS" in line) is not agrees


def test_windows_do_not_overlap() -> None:
    scoring = sanity_preset(1024).scoring
    assert scoring.windows.stride == scoring.windows.length == 1024
    assert scoring.ttt is None
    assert scoring.mixer.name == "none"


def test_the_command_checks_a_model(tiny_contest: Path) -> None:
    code, card, shown = evaluate(tiny_contest / "artifact.ptz", "--nproc", "1", "--sanity", "--expect", "1.0")
    assert code == 1
    assert card["scoring"]["windows"] == {"plan": "W-C", "length": 256, "stride": 256}
    assert card["label"] == "practice"
    assert f"sanity: {card['bpb']:.6f} bpb without overlap" in shown
    assert "expected 1.000000 (as given)" in shown
    assert "DIFFERS" in shown


@pytest.mark.parametrize(
    "arguments", [("--expect", "1.0"), ("--sanity", "--eval-preset", "plain"), ("--sanity", "--expect", "x")]
)
def test_options_that_contradict_are_usage_errors(arguments: tuple[str, ...], tmp_path: Path) -> None:
    from click.testing import CliRunner

    from evaluator.cli import score

    result = CliRunner().invoke(score, [str(tmp_path / "artifact.ptz"), *arguments])
    assert result.exit_code == 2, result.output
