"""The score-first loop against plain re-implementations, and against the law."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from evaluator.ledger import QUANTUM, Ledger
from evaluator.mixer import build_mixer
from evaluator.scoring.adapt import Adapter, select_parameters
from evaluator.scoring.loop import score_stream
from evaluator.scoring.network import Network
from evaluator.scoring.ranks import Ranks
from evaluator.scoring.windows import plan_windows
from evaluator.settings import AdaptSettings, WindowSettings
from reference_model import GPT, GPTConfig

VOCAB = 32
CONFIG = GPTConfig(
    vocab_size=VOCAB,
    model_dim=16,
    num_layers=2,
    num_heads=2,
    num_kv_heads=1,
    mlp_hidden=32,
    rope_dims=4,
    context_len=16,
)
ALONE = Ranks(0, 1, torch.device("cpu"))
Stream = np.ndarray[Any, np.dtype[np.uint16]]


def stream(n: int, seed: int = 0) -> Stream:
    return np.random.default_rng(seed).integers(1, VOCAB, n).astype(np.uint16)


def model() -> GPT:
    made = GPT(CONFIG, seed=1)
    with torch.no_grad():
        for (
            parameter
        ) in made.parameters():  # output projections start at zero: move them, or nothing depends on context
            parameter.add_(
                0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
            )
    return made.eval()


def run(
    tokens: Stream,
    *,
    plan: Literal["W-A", "W-B", "W-C"] = "W-C",
    ttt: AdaptSettings | None = None,
    mixer: str = "none",
    chunk: int = 32,
    gradient_rows: int = 2,
) -> Ledger:
    windows = plan_windows(WindowSettings(plan, 16, 4), len(tokens) - 1)
    mixed = build_mixer(mixer, tokens, VOCAB, {})
    scorer = model()
    network = Network(scorer, tokens, windows, 4, ALONE, hints=mixed.hints, entropy=mixed.needs_entropy)
    adapter = None
    if ttt:
        adapter = Adapter(
            scorer,
            ttt,
            length=16,
            gradient_rows=gradient_rows,
            chunks=len(windows.chunks(chunk)),
            credited=(tokens[1:] % 3).astype(np.uint16),
            ranks=ALONE,
        )
    ledger = Ledger(tokens)
    _, proofs = score_stream(network, ledger, mixed, adapter, chunk=chunk, ranks=ALONE, on_chunk=lambda _: None)
    for proof in proofs:
        assert abs(proof.mass - 1) < 1e-9
        assert proof.target_error < 1e-12
    return ledger


def plain_nll(scorer: GPT, tokens: Stream, start: int, first: int, stop: int) -> torch.Tensor:
    """Scores of positions first..stop-1 in a window of its own, the obvious way."""
    ids = torch.from_numpy(tokens[start : stop + 1].astype(np.int64))[None]
    with torch.no_grad():
        logits = scorer(ids[:, :-1])
    return F.cross_entropy(logits[0].double(), ids[0, 1:], reduction="none")[first - start :]


@pytest.mark.parametrize("positions", [1, 5, 16, 17, 63, 64, 100])
@pytest.mark.parametrize("plan", ["W-A", "W-B", "W-C"])
def test_scores_are_those_of_each_window_alone(positions: int, plan: Literal["W-A", "W-B", "W-C"]) -> None:
    tokens = stream(positions + 1)
    ledger = run(tokens, plan=plan)
    windows = plan_windows(WindowSettings(plan, 16, 4), positions)
    expected, total = np.full(positions, np.nan), 0.0
    for start, first, stop in zip(windows.start, windows.first, windows.stop, strict=True):
        nll = plain_nll(model(), tokens, int(start), int(first), int(stop)).numpy()
        total += nll.sum()
        region = expected[first:stop]
        region[np.isnan(region)] = nll[np.isnan(region)]
    np.testing.assert_allclose(ledger.nll * QUANTUM, expected, atol=2e-6)
    assert ledger.total * QUANTUM == pytest.approx(total, abs=1e-4)
    assert ledger.exactly_once == windows.exactly_once()


@pytest.mark.parametrize("loss", ["mean", "bytes"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_test_time_training_is_the_published_loop(loss: Any, optimizer: Any) -> None:
    settings = AdaptSettings(
        optimizer=optimizer, lr=0.05, epochs=2, step_sequences=2, loss=loss, freeze=("blocks.0.*",)
    )
    tokens = stream(3 * 64 + 20)
    ledger = run(tokens, ttt=settings, chunk=64, gradient_rows=1)

    scorer = model()
    names = [name for name, _ in scorer.named_parameters() if not name.startswith("blocks.0.")]
    parameters = [dict(scorer.named_parameters())[name] for name in names]
    stepper: torch.optim.Optimizer
    if optimizer == "sgd":
        stepper = torch.optim.SGD(parameters, 1.0, momentum=0.9)
    else:
        stepper = torch.optim.AdamW(parameters, 1.0, weight_decay=0.0)
    windows = plan_windows(WindowSettings("W-C", 16, 4), len(tokens) - 1)
    chunks = windows.chunks(64)
    scores = []
    for k, chunk in enumerate(chunks):
        for w in chunk:
            scores.append(plain_nll(scorer, tokens, int(windows.start[w]), int(windows.first[w]), int(windows.stop[w])))
        for group in stepper.param_groups:
            group["lr"] = 0.05 * 0.5 * (1 + math.cos(math.pi * k / (len(chunks) - 1)))
        begin = k * 64
        sequences = [tokens[begin + 16 * i : begin + 16 * i + 17].astype(np.int64) for i in range(4)]
        for _ in range(2 if k < len(chunks) - 1 else 0):
            for pair in (sequences[:2], sequences[2:]):
                ids = torch.from_numpy(np.stack(pair))
                ce = F.cross_entropy(scorer(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
                weight = torch.ones_like(ce) if loss == "mean" else (ids[:, 1:].flatten() % 3).float()
                for p, g in zip(
                    parameters, torch.autograd.grad((ce * weight).sum() / weight.sum(), parameters), strict=True
                ):
                    p.grad = g
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                stepper.step()
    np.testing.assert_allclose(ledger.nll * QUANTUM, torch.cat(scores).numpy(), atol=2e-4)
    untouched = run(tokens, chunk=64)
    assert (ledger.nll[:64] == untouched.nll[:64]).all()
    assert (ledger.nll[64:] != untouched.nll[64:]).mean() > 0.9


@pytest.mark.parametrize("mixer", ["none", "pitman_yor", "backoff", "tilt"])
def test_rewriting_the_future_changes_no_score_before_it(mixer: str) -> None:
    settings = AdaptSettings(lr=0.05, epochs=1)
    tokens = np.tile(stream(40), 4)
    before = run(tokens, ttt=settings, mixer=mixer)
    for cut in (1, 33, 97, len(tokens) - 1):
        changed = tokens.copy()
        changed[cut:] = stream(len(tokens) - cut, seed=7)
        after = run(changed, ttt=settings, mixer=mixer)
        # Position p predicts token p + 1, so positions before cut - 1 know nothing of the change.
        assert (before.nll[: cut - 1] == after.nll[: cut - 1]).all()
    assert (before.nll != after.nll).any()


def test_the_gradient_does_not_depend_on_its_terms_beyond_rounding() -> None:
    settings = AdaptSettings(lr=0.05, epochs=2)
    tokens = stream(200)
    one, four = (run(tokens, ttt=settings, chunk=64, gradient_rows=rows) for rows in (1, 4))
    np.testing.assert_allclose(one.nll * QUANTUM, four.nll * QUANTUM, atol=1e-4)


def test_parameter_patterns() -> None:
    names = ["tok_emb.weight", "blocks.0.attn.c_q.weight", "blocks.1.attn.c_q.weight", "blocks.1.attn_scale"]
    chosen = select_parameters(names, AdaptSettings(adapt=("*.c_q.weight", "*scale*"), freeze=("blocks.0.*",)))
    assert chosen == names[2:]
    with pytest.raises(ValueError, match="matches no parameter"):
        select_parameters(names, AdaptSettings(freeze=("blocks.7.*",)))
    with pytest.raises(ValueError, match="no parameter is left"):
        select_parameters(names, AdaptSettings(adapt=("tok_emb.*",), freeze=("*",)))
