"""`evaluate` as an organiser runs it, on a tiny contest: scorecards, caps, refusals, replays, determinism."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from jsonschema import Draft202012Validator

from reference_model import GPT, load_preset

SCRIPT = Path(sys.executable).parent / "evaluate"
ROOT = Path(__file__).parents[2]
QUICK = ("--nproc", "1", "--eval-preset", "plain")
"""Where it does not matter how tokens are scored: windows that do not overlap, no training, no mixer."""


def evaluate(*arguments: str | Path) -> tuple[int, dict[str, Any], str]:
    """Run the installed script; exit code, scorecard and standard error."""
    result = subprocess.run(
        [str(SCRIPT), *map(str, arguments), "--json", "-"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=dict(os.environ, COLUMNS="160"),
    )
    assert "Traceback" not in result.stderr, result.stderr
    return result.returncode, json.loads(result.stdout) if result.stdout else {}, result.stderr


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    return Draft202012Validator(json.loads((ROOT / "docs" / "scorecard.schema.json").read_text()))


@pytest.fixture
def contest(tiny_contest: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(tiny_contest, tmp_path / "contest"))


@dataclass(frozen=True)
class Scored:
    """The tiny contest scored by one process, the whole set, with test-time training and the mixer on."""

    card: dict[str, Any]
    shown: str
    page: str


@pytest.fixture(scope="module")
def alone(tiny_contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    page = tmp_path_factory.mktemp("alone") / "report.html"
    code, card, shown = evaluate(tiny_contest / "artifact.ptz", "--nproc", "1", "--html", page)
    assert code == 0, shown
    return Scored(card, shown, page.read_text())


ONE_RUN = pytest.mark.xdist_group("tiny contest scored by one process")


@ONE_RUN
def test_a_scorecard(alone: Scored, tiny_contest: Path, schema: Draft202012Validator) -> None:
    card, shown, html = alone.card, alone.shown, alone.page
    schema.validate(card)
    assert card["status"] == "scored"
    assert card["label"] == "practice"
    assert card["coverage"]["exactly_once"]
    assert card["coverage"]["data"] == "complete"
    assert card["bpb"] == pytest.approx(card["score"]["nll"] / math.log(2) / card["score"]["bytes"])
    assert card["score"]["tokens"] == card["coverage"]["positions"] == card["chunks"][-1]["stop"]
    assert card["size"]["artifact"] == (tiny_contest / "artifact.ptz").stat().st_size
    assert card["normalisation"]["max_sum_error"] < 1e-9
    assert sum(card["histogram"]) == card["score"]["tokens"]
    assert 0 < card["time"]["used"] < card["time"]["limit"]
    for shown_text in (f"{card['bpb']:.6f}", card["digest"], "from artifact.manifest.json"):
        assert shown_text in shown
    assert f"{card['bpb']:.6f}" in html
    assert "http" not in re.sub(r"http-equiv", "", html)
    assert "<script" not in html


@ONE_RUN
@pytest.mark.parametrize(
    ("processes", "digest", "code", "says"), [(2, None, 0, "confirmed"), (4, "0" * 64, 1, "differs")]
)
def test_the_digest_is_the_same_for_any_number_of_processes_and_replays(
    alone: Scored, tiny_contest: Path, tmp_path: Path, processes: int, digest: str | None, code: int, says: str
) -> None:
    """With test-time training and the mixer on; a card with another digest than it had is not confirmed."""
    assert alone.card["processes"] == 1
    assert alone.card["scoring"]["ttt"] is not None
    assert alone.card["scoring"]["mixer"]["name"] == "pitman_yor"
    file = tmp_path / "card.json"
    file.write_text(json.dumps(alone.card | {"digest": digest or alone.card["digest"]}))
    ended, card, _ = evaluate(tiny_contest / "artifact.ptz", "--nproc", str(processes), "--replay", file)
    assert (ended, card["replay"], card["processes"]) == (code, says, processes)
    assert card["digest"] == alone.card["digest"]
    assert ("other scores" in card["message"]) == (says == "differs")


def test_over_the_byte_cap_is_exit_1(contest: Path, tmp_path: Path) -> None:
    code_file = tmp_path / "train.py"
    code_file.write_bytes(b"#" * 1_000_000)
    code, card, _ = evaluate(contest / "artifact.ptz", *QUICK, "--code", code_file)
    assert code == 1
    assert card["status"] == "over-bytes"
    assert card["size"]["code"] == 1_000_000
    assert card["size"]["files"] == {"train.py": 1_000_000}
    assert card["bpb"] > 0


def test_over_the_time_cap_is_exit_1_without_a_score(tiny_contest: Path, schema: Draft202012Validator) -> None:
    code, card, _ = evaluate(tiny_contest / "artifact.ptz", "--nproc", "1", "--time-limit", "0.3")
    schema.validate(card)
    assert (code, card["status"], card["bpb"], card["digest"]) == (1, "over-time", None, None)
    assert 0.3 <= card["time"]["used"] < 1.3


def test_an_official_score_says_what_is_missing(tiny_contest: Path) -> None:
    code, card, _ = evaluate(tiny_contest / "artifact.ptz", "--official")
    assert (code, card["reason"]) == (2, "not-official")
    for missing in ("--code", "--data", "--tokenizer"):
        assert missing in card["message"]


def test_an_official_run_of_the_contest_needs_its_hardware_and_data(tiny_contest: Path) -> None:
    tokenizer = next((tiny_contest / "data").glob("*.model"))
    given: list[str | Path] = [
        "--data",
        tiny_contest / "data",
        "--tokenizer",
        tokenizer,
        "--code",
        Path(__file__),
        "--nproc",
        "1",
    ]
    code, card, _ = evaluate(tiny_contest / "artifact.ptz", "--official", *given)
    assert (code, card["reason"], card["contest"]) == (2, "not-official", "parameter-golf")
    assert "H100" in card["message"]
    code, card, shown = evaluate(tiny_contest / "artifact.ptz", "--official", "--contest", "mini", *given)
    assert (code, card["label"], card["unofficial"]) == (0, "official", []), shown


def refuse(contest: Path, *arguments: str | Path) -> str:
    code, card, shown = evaluate(contest / "artifact.ptz", "--nproc", "1", *arguments)
    assert (code, card["status"], card["bpb"]) == (2, "refused", None)
    assert "\n" not in card["message"]
    assert card["message"] in " ".join(re.sub(r"[│╭╰─╮╯]", " ", shown).split())
    return str(card["reason"])


def test_refusals(contest: Path, tmp_path: Path) -> None:
    shard = next((contest / "data").glob("fineweb_val_*.bin"))
    artifact = contest / "artifact.ptz"
    good_shard, good_artifact = shard.read_bytes(), artifact.read_bytes()
    assert refuse(contest, "--preset", "baseline") in {"missing-tensor", "extra-tensor", "wrong-shape"}
    assert refuse(contest, "--preset", "no-such-preset") == "unknown-preset"
    assert refuse(contest, "--contest", "no-such-contest") == "unknown-contest"
    assert refuse(contest, "--data", tmp_path / "absent")
    assert refuse(contest, "--code", tmp_path / "absent.py") == "bad-code"
    shard.write_bytes(good_shard[:-1])
    assert refuse(contest) == "shard-truncated"
    shard.write_bytes(good_shard)
    artifact.write_bytes(good_artifact[: len(good_artifact) // 2])
    assert refuse(contest) == "truncated"
    artifact.write_bytes(good_artifact)
    (contest / "artifact.manifest.json").write_text('{"presett": "mini"}')
    assert refuse(contest) == "bad-manifest"
    (contest / "artifact.manifest.json").unlink()
    assert refuse(contest) == "nothing-to-score-on"


def test_a_partial_set_is_reported_as_such(contest: Path) -> None:
    shard = next((contest / "data").glob("fineweb_val_*.bin"))
    header, tokens = np.split(np.fromfile(shard, "<u2"), [512])
    half = tokens[: len(tokens) // 2]
    words = header.view("<i4")
    words[2] = len(half)
    shard.write_bytes(words.tobytes() + half.tobytes())
    code, card, _ = evaluate(contest / "artifact.ptz", *QUICK)
    assert (code, card["coverage"]["data"], card["label"]) == (0, "partial", "practice")


def test_the_published_schema_is_the_one_in_use() -> None:
    from evaluator.scorecard import schema as current

    published = json.loads((ROOT / "docs" / "scorecard.schema.json").read_text())
    assert published == current(), "run `python -m evaluator.scorecard > docs/scorecard.schema.json`"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@ONE_RUN
def test_two_machines_give_the_digest_of_one(alone: Scored, tiny_contest: Path) -> None:
    """Two launchers with a rendezvous over loopback, as on two machines."""
    both = ["--nproc", "1", "--nnodes", "2", "--master", f"127.0.0.1:{free_port()}"]
    second = subprocess.Popen(
        [str(SCRIPT), str(tiny_contest / "artifact.ptz"), *both, "--node-rank", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    code, card, shown = evaluate(tiny_contest / "artifact.ptz", *both, "--node-rank", "0")
    assert code == 0, shown
    assert "the score is on machine 0" in second.communicate(timeout=60)[1]
    assert second.returncode == 0
    assert card["processes"] == 2
    assert card["digest"] == alone.card["digest"]


def test_any_checkpoint_becomes_an_artifact_that_explains_itself(tiny_contest: Path, tmp_path: Path) -> None:
    """And `pack` says of it what `evaluate` says."""
    checkpoint, packed = tmp_path / "model.pt", tmp_path / "packed.ptz"
    torch.save({"model": GPT(load_preset("mini")).state_dict()}, checkpoint)
    data: list[str | Path] = ["--data", tiny_contest / "data", "--tokenizer", tiny_contest / "data" / "tokenizer.model"]
    command = [SCRIPT, "pack", checkpoint, "--preset", "mini", "--recipe", "canonical", "-o", packed]
    result = subprocess.run(
        [*map(str, command), *map(str, data), "--contest", "mini", "--loss-targets", "10000000"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert f"{packed.stat().st_size:,} bytes" in result.stdout
    code, card, shown = evaluate(packed, *data, "--contest", "mini", "--nproc", "1", "--sanity")
    assert code == 0, shown
    assert card["model"]["preset"] == "from the artifact's header"
    assert card["artifact"]["family"] == "canonical"
    assert f"{card['bpb']:.5f} as an artifact" in result.stdout


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.pt"
    torch.save(GPT(load_preset("mini")).state_dict(), checkpoint)
    result = subprocess.run(
        [str(SCRIPT), "pack", str(checkpoint), "--preset", "baseline", "-o", str(tmp_path / "out.ptz")],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 2
    assert "tensor" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out.ptz").exists()
