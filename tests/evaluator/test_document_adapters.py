"""Adapters per document: what they compute, what they learn from, and that documents do not meet."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from evaluator.ledger import QUANTUM, Ledger
from evaluator.mixer import build_mixer
from evaluator.scoring.documents import Documents, chunk_edges, document_spans
from evaluator.scoring.loop import proven_chunks, score_stream
from evaluator.scoring.lora import DocumentAdapters
from evaluator.scoring.ranks import Ranks
from evaluator.scoring.windows import plan_windows
from evaluator.settings import DocumentSettings, WindowSettings
from reference_model import GPT, GPTConfig

VOCAB, BOS, LENGTH, CHUNK = 32, 1, 16, 32
CONFIG = GPTConfig(
    vocab_size=VOCAB, model_dim=16, num_layers=3, num_heads=2, num_kv_heads=1, mlp_hidden=32, rope_dims=4,
    context_len=LENGTH, loop_start=1, loop_end=1, num_loops=1,
)  # fmt: skip
SETTINGS = DocumentSettings(batch=3, rank=4, alpha=8.0, lr=0.02, chunks=((8, 4), (16, 8)), last_chunk=16)
ALONE = Ranks(0, 1, torch.device("cpu"))
Stream = np.ndarray[Any, np.dtype[np.uint16]]


def model(config: GPTConfig = CONFIG) -> GPT:
    made = GPT(config, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


def document(length: int, seed: int) -> list[int]:
    return [BOS, *np.random.default_rng(seed).integers(2, VOCAB, length - 1).tolist()]


DOCUMENTS = [document(length, length) for length in (21, 40, 5, 33, 12, 27, 3)]


def run(tokens: Stream, settings: DocumentSettings = SETTINGS, mixer: str = "none") -> Ledger:
    plan = plan_windows(WindowSettings("W-C", LENGTH, 4), len(tokens) - 1)
    chunks = plan.chunks(CHUNK)
    mixed = build_mixer(mixer, tokens, VOCAB, {})
    documents = Documents(
        model(), tokens, plan, np.flatnonzero(tokens == BOS), settings, ALONE, hints=mixed.hints,
        entropy=mixed.needs_entropy, rows=[int(plan.first[chunks[n][0]]) for n in proven_chunks(len(chunks))],
    )  # fmt: skip
    ledger = Ledger(tokens)
    _, proofs = score_stream(documents, ledger, mixed, None, chunk=CHUNK, ranks=ALONE, on_chunk=lambda _: None)
    for proof in proofs:
        assert abs(proof.mass - 1) < 1e-9
        assert proof.target_error < 1e-12
    assert ledger.exactly_once
    return ledger


def joined(documents: list[list[int]]) -> Stream:
    return np.array([token for document in documents for token in document], np.uint16)


def by_document(documents: list[list[int]], settings: DocumentSettings = SETTINGS) -> list[Any]:
    """Scores of each document's own tokens; its last target, the next BOS, depends on the order."""
    tokens = joined(documents)
    nll = run(tokens, settings).nll * QUANTUM
    edges = np.cumsum([0, *map(len, documents)])
    return [nll[a : b - 1] for a, b in pairwise(edges)]


def test_edges_follow_the_position_in_the_document() -> None:
    assert chunk_edges(((8, 4), (16, 8)), 16, 40) == [0, 4, 8, 16, 32, 48]
    assert chunk_edges(((256, 16), (2000, 32)), 64, 2100)[-3:] == [1984, 2016, 2080, 2144][-3:]


def test_documents_cover_the_stream() -> None:
    assert document_spans(np.array([3, 9]), 12) == [(0, 3), (3, 9), (9, 12)]
    assert document_spans(np.array([0, 12]), 12) == [(0, 12)]


def test_neither_order_nor_batch_mates_matter() -> None:
    scores = by_document(DOCUMENTS)
    order = [3, 0, 6, 5, 1, 4, 2]
    shuffled = by_document([DOCUMENTS[i] for i in order])
    for place, i in enumerate(order):
        np.testing.assert_array_equal(shuffled[place], scores[i])
    some = [DOCUMENTS[i] for i in (2, 4, 0)]
    expected = [scores[i] for i in (2, 4, 0)]
    for i, other in enumerate(by_document(some, DocumentSettings(**{**_fields(), "batch": 2}))):
        np.testing.assert_allclose(other, expected[i], atol=1e-5)


def _fields() -> dict[str, Any]:
    return {name: getattr(SETTINGS, name) for name in SETTINGS.__struct_fields__}


@pytest.mark.parametrize("mixer", ["none", "tilt"])
def test_rewriting_the_future_changes_no_score_before_it(mixer: str) -> None:
    tokens = joined(DOCUMENTS)
    whole = run(tokens, mixer=mixer).nll
    rng = np.random.default_rng(0)
    for first in (30, 47, len(tokens) - 1):
        rewritten = tokens.copy()
        rewritten[first:] = np.where(rewritten[first:] == BOS, BOS, rng.integers(2, VOCAB, len(tokens) - first))
        np.testing.assert_array_equal(run(rewritten, mixer=mixer).nll[: first - 1], whole[: first - 1])


def test_the_first_chunk_is_the_models_own_and_later_ones_have_learned() -> None:
    tokens = joined(DOCUMENTS)
    scores = by_document(DOCUMENTS)
    net = model()
    differs = 0
    for document, nll in zip(DOCUMENTS, scores, strict=True):
        ids = torch.tensor(document[:LENGTH])
        with torch.no_grad():
            log_probs = torch.log_softmax(net(ids[None, :-1]).double(), -1)[0]
        plain = -log_probs.gather(-1, ids[1:, None])[:, 0].numpy()
        np.testing.assert_allclose(nll[: min(4, len(plain))], plain[:4], atol=1e-5)
        differs += int((np.abs(nll[4 : len(plain)] - plain[4:]) > 1e-4).sum())
    assert differs > 30
    assert len(tokens) > 0


def test_what_repeats_is_learned() -> None:
    repeats = [[BOS, *([7, 19, 4, 23] * 30)]]
    adapted = by_document(repeats)[0]
    still = by_document(repeats, DocumentSettings(**{**_fields(), "lr": 1e-9}))[0]
    assert adapted[60:].mean() < 0.7 * still[60:].mean()


def test_an_adapter_serves_one_document_at_one_step() -> None:
    net = model()
    adapters = DocumentAdapters(net, 2, SETTINGS)
    ids = torch.randint(2, VOCAB, (2, 10), generator=torch.Generator().manual_seed(0))
    plain = adapters.logits(ids, slice(None))
    torch.testing.assert_close(plain, net(ids))
    seen: list[torch.Tensor] = []
    for slot, (_, b) in adapters.parameters.items():
        with torch.no_grad():
            b[1] = 0.3
        found = adapters.logits(ids, slice(None))
        torch.testing.assert_close(found[0], plain[0])
        assert not torch.allclose(found[1], plain[1]), slot
        assert not any(torch.allclose(found[1], other) for other in seen), slot  # block 1 runs twice, apart
        seen.append(found[1])
        with torch.no_grad():
            b.zero_()


def test_a_key_adapter_is_a_low_rank_change_of_the_weight() -> None:
    config = GPTConfig(**{**CONFIG.to_mapping(), "loop_start": 0, "loop_end": 0, "num_loops": 0})
    net = model(config)
    adapters = DocumentAdapters(net, 1, SETTINGS)
    a, b = adapters.parameters["key", 2]
    with torch.no_grad():
        b.normal_(generator=torch.Generator().manual_seed(9))
    ids = torch.randint(2, VOCAB, (1, 12), generator=torch.Generator().manual_seed(3))
    adapted = adapters.logits(ids, slice(None))
    with torch.no_grad():
        net.block(2).attn.c_k.weight.add_((b[0] @ a[0]) * (SETTINGS.alpha / SETTINGS.rank))
    torch.testing.assert_close(adapted, net(ids), atol=1e-5, rtol=1e-4)


def test_only_scored_tokens_are_learned_from() -> None:
    adapters = DocumentAdapters(model(), 1, SETTINGS)
    losses = torch.ones(1, 4, requires_grad=True)
    with pytest.raises(TypeError, match="ScoredTokens"):
        adapters.adapt(losses, [np.arange(5)])  # type: ignore[list-item]  # what no type checker saw
    scored = Ledger(np.arange(6, dtype=np.uint16)).credit(0, np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="4 losses for 3"):
        adapters.adapt(losses, [scored])
