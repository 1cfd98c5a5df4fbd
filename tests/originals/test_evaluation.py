"""The evaluation presets against the evaluation functions of the original scripts, training and mixers included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import small
import torch
from loading import ORIGINALS, extract, run_child
from msgspec.structs import replace

from evaluator.ledger import QUANTUM, Ledger
from evaluator.mixer import build_mixer
from evaluator.scoring.adapt import Adapter
from evaluator.scoring.loop import score_stream
from evaluator.scoring.network import Network
from evaluator.scoring.ranks import Ranks
from evaluator.scoring.windows import plan_windows
from evaluator.settings import EvalPreset, load_eval_preset
from evaluator.violations.run import PublishedRun, run_published
from evaluator.violations.scores import Scores

TOLERANCE = 1e-4
"""Nats a token (the issue's)."""

CHUNK, BATCH, LR = 4 * small.LENGTH, 2, 0.02
PROGRAM = Path(__file__).parent / "evaluate_original.py"


_TRAINING = {"train_seq_len": small.LENGTH, "ttt_batch_seqs": BATCH, "ttt_lr": LR, "ttt_chunk_tokens": CHUNK}
_LENGTHS = {"eval_seq_len": small.LENGTH, "ttt_grad_clip": 1.0}
REQUESTS: dict[int, tuple[dict[str, Any], dict[str, str]]] = {
    398: ({**_TRAINING, "ttt_freeze_blocks": 0, "ttt_momentum": 0.9, "ttt_epochs": 3}, {}),
    779: (
        {
            "train_seq_len": small.LENGTH,
            "keywords": {
                "ttt_epochs": 2,
                "ttt_lr": LR,
                "ttt_freeze_blocks": 1,
                "ttt_chunk_tokens": CHUNK,
                "ttt_temp": 0.98,
                "byte_weighted_ttt": True,
                "adaptive_lr": False,
            },
        },
        {"USE_MIXER": "1", "QTTT": "1", "USE_POLYAK": "0"},
    ),
    940: ({**_TRAINING, "ttt_freeze_blocks": 2, "ttt_epochs": 2}, {"NGRAM_CACHE": "1", "NGRAM_BUCKETS": "64"}),
    1477: ({**_TRAINING, **_LENGTHS, "ttt_freeze_blocks": 0, "ttt_momentum": 0.9, "ttt_epochs": 2}, {}),
}
"""Arguments and environment of each original, by pull request."""


@pytest.fixture(scope="module")
def answers(mirror: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    requests = []
    for pull, (args, environment) in REQUESTS.items():
        script = extract(mirror, ORIGINALS[pull], tmp_path_factory.mktemp(f"original-{pull}"))
        requests.append({"pull": pull, "script": str(script), "args": args, "environment": environment})
    return run_child(PROGRAM, {"requests": requests}, {}, 300)


def check(answers: dict[str, dict[str, Any]], pull: int, ours: float) -> None:
    """Compare, and print a row of the table that ``pytest -s`` shows."""
    answer = answers[str(pull)]
    assert "loss" in answer, answer["error"]
    print(f"#{pull}: original {answer['loss']:.9f}, preset {ours:.9f} nats a token")
    assert ours == pytest.approx(answer["loss"], abs=TOLERANCE)


def shrunken(name: str, *, epochs: int, **published: Any) -> EvalPreset:
    """The preset at the size of the small stream, on one rank, with a learning rate that moves something."""
    preset = load_eval_preset(name)
    scoring = preset.scoring
    assert scoring.ttt is not None
    ttt = replace(scoring.ttt, lr=LR, epochs=epochs, step_sequences=BATCH)
    windows = replace(scoring.windows, length=small.LENGTH, stride=small.STRIDE)
    scoring = replace(scoring, windows=windows, chunk=CHUNK, micro_batch=4, gradient_rows=1, ttt=ttt)
    if preset.published is None:
        return replace(preset, scoring=scoring)
    settings = {**preset.published.settings, "ranks": 1, **published}
    return replace(preset, scoring=scoring, published=replace(preset.published, settings=settings))


def published_loss(preset: EvalPreset) -> float:
    assert preset.published is not None
    plan = plan_windows(preset.scoring.windows, small.TOKENS - 1)
    scores = Scores(small.credited(), lambda _: None)
    run = PublishedRun(small.model(), small.VOCAB, small.stream(), small.credited(), plan, preset.scoring, scores)
    run_published(run, preset.published)
    return scores.total * QUANTUM / scores.scored


def test_398(answers: dict[str, dict[str, Any]]) -> None:
    """20 epochs on everything, then the score."""
    preset = shrunken("pr398-as-published", epochs=3)
    check(answers, 398, published_loss(preset))


def test_779(answers: dict[str, dict[str, Any]]) -> None:
    """Hashed mixer, sharpened temperature, byte-weighted training of some parameters."""
    preset = shrunken("pr779-as-published", epochs=2, buckets=64)
    check(answers, 779, published_loss(preset))


def test_940(answers: dict[str, dict[str, Any]]) -> None:
    """A pass that trains, a pass that scores, with a table that the windows fill."""
    preset = shrunken("pr940-as-published", epochs=2, buckets=64)
    check(answers, 940, published_loss(preset))


def test_1477(answers: dict[str, dict[str, Any]]) -> None:
    """The score-first loop is the official one."""
    scoring = shrunken("pr1477-as-published", epochs=2).scoring
    assert scoring.ttt is not None
    alone = Ranks(0, 1, torch.device("cpu"))
    net, tokens = small.model(), small.stream()
    plan = plan_windows(scoring.windows, small.TOKENS - 1)
    network = Network(net, tokens, plan, scoring.micro_batch, alone, hints=None, entropy=False)
    adapter = Adapter(
        net, scoring.ttt, length=small.LENGTH, gradient_rows=1, chunks=len(plan.chunks(CHUNK)),
        credited=small.credited(), ranks=alone,
    )  # fmt: skip
    ledger = Ledger(tokens)
    mixer = build_mixer("none", tokens, small.VOCAB, {})
    score_stream(network, ledger, mixer, adapter, chunk=CHUNK, ranks=alone, on_chunk=lambda _: None)
    assert ledger.exactly_once
    check(answers, 1477, ledger.total * QUANTUM / ledger.scored)
