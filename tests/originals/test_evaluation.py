"""The evaluation presets against the evaluation functions of the original scripts, training and mixers included."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small
import torch
from loading import ORIGINALS, extract, run_child
from msgspec.structs import replace

from evaluator.ledger import QUANTUM, Ledger
from evaluator.mixer import build_mixer
from evaluator.scoring.adapt import Adapter
from evaluator.scoring.loop import score_stream
from evaluator.scoring.lora import DocumentAdapters
from evaluator.scoring.network import Network
from evaluator.scoring.ranks import Ranks
from evaluator.scoring.windows import plan_windows
from evaluator.settings import DocumentSettings, EvalPreset, ScoringSettings, WindowSettings, load_eval_preset
from evaluator.violations.run import PublishedRun, run_published
from evaluator.violations.scores import Scores
from evaluator.violations.systems import pr2140
from reference_model import GPT

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
REQUESTS[2140] = (
    {
        "rank": 0, "world_size": 1, "ttt_batch_size": BATCH, "ttt_lora_rank": 4, "ttt_lora_lr": LR,
        "ttt_local_lr_mult": 1.0, "ttt_optimizer": "adamw", "ttt_beta1": 0.0, "ttt_beta2": 0.99,
        "ttt_weight_decay": 0.5, "ttt_grad_steps": 1, "ttt_q_lora": False, "ttt_k_lora": True, "ttt_v_lora": False,
        "ttt_mlp_lora": True, "ttt_o_lora": True, "ttt_chunk_size": 16, "ttt_eval_seq_len": small.LENGTH,
        "ttt_short_score_first_enabled": True, "ttt_short_score_first_steps": "24:4,60:8", "ttt_short_doc_len": 0,
        "ttt_short_chunk_size": 0, "ttt_short_lora_enabled": False, "ttt_short_lora_rank": 4, "ttt_short_lora_lr": LR,
        "ttt_short_beta2": 0.99, "ttt_short_weight_decay": 0.5, "ttt_train_min_doc_len": 0, "ttt_train_max_doc_len": 0,
        "ttt_warm_start_mean_enabled": False, "ttt_warm_start_mean_doc_len": 0, "ttt_warm_start_mean_momentum": 0.0,
        "ttt_eval_batches": "", "phased_ttt_prefix_docs": 3, "phased_ttt_num_phases": 1, "ngram_tilt_enabled": False,
        "val_doc_fraction": 1.0, "eval_seq_len": small.LENGTH, "global_ttt_chunk_tokens": 2 * small.LENGTH,
        "global_ttt_batch_seqs": 32, "global_ttt_lr": LR, "global_ttt_momentum": 0.9, "global_ttt_epochs": 1,
        "global_ttt_warmup_chunks": 0, "global_ttt_warmup_start_lr": 0.0, "global_ttt_respect_doc_boundaries": True,
        "global_ttt_grad_clip": 1.0,
    },
    {"TTT_LORA_ALPHA": "8", "TTT_WARM_START_A": "1"},
)  # fmt: skip
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


def test_2140(answers: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Adapters with a warm ``A``, longest document first, one global phase, tilt."""
    if shutil.which("gcc", path="/usr/bin:/bin") is None:
        pytest.skip("the original compiles its hint kernel with gcc")

    def with_known_start(model: GPT, rows: int, settings: DocumentSettings, _generator: object) -> DocumentAdapters:
        adapters = DocumentAdapters(model, rows, settings)
        with torch.no_grad():
            for a, _ in adapters.parameters.values():
                a.copy_(small.initial_adapter(a.shape))
        return adapters

    monkeypatch.setattr(pr2140, "_new_adapters", with_known_start)
    documents = DocumentSettings(batch=BATCH, rank=4, alpha=8.0, lr=LR, chunks=((24, 4), (60, 8)), last_chunk=16)
    scoring = ScoringSettings(WindowSettings("W-C", small.LENGTH, small.STRIDE), CHUNK, documents=documents)
    tokens = small.documents()
    credited = np.ones(len(tokens) - 1, np.uint16)
    plan, scores = plan_windows(scoring.windows, len(credited)), Scores(credited, lambda _: None)
    run = PublishedRun(small.model(small.PHASED), small.VOCAB, tokens, credited, plan, scoring, scores)
    settings = pr2140.Settings(prefix_documents=3, global_chunk=2 * small.LENGTH, global_lr=LR, ranks=1)
    pr2140.run(run, settings)
    assert scores.exactly_once
    check(answers, 2140, scores.total * QUANTUM / scores.scored)
