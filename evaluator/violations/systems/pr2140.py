"""Pull request 2140: phased low-rank training per document, longest document first (systems.md 5.3).

Broken: C1, three ways. Documents are scored longest first, so that a document is scored with adapters and, after the
global phase, with weights trained on documents that come later in the stream, while hints come from the stream's order:
no order makes every prediction a function of what precedes it. The chunk length follows the longest document of the
batch, and the last window follows the document's end, which nobody knows at its beginning. C4: not left to right. The
tilt itself is normalised (C2 holds), and every chunk is scored before it trains (C3 holds).

The published queue deals batches to whichever rank is free; here one rank takes them all, in order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it

from evaluator.scoring.documents import document_spans
from evaluator.scoring.lora import DocumentAdapters
from evaluator.settings import DocumentSettings
from evaluator.violations.hints import find_hints
from evaluator.violations.readout import Float64
from evaluator.violations.run import PublishedRun
from reference_model import GPT
from reference_model.varlen import document_starts

Document = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the published run had.

    Attributes:
        beta: boost of a hint, nats.
        min_share: see :func:`find_hints`.
        prefix_documents: documents after which the global phase comes; 0 for none.
        global_chunk: tokens per step of the global phase.
        global_lr, global_momentum, global_clip: of its SGD.
        ranks: that share a step of it.
        bos_id: begins a document.
    """

    beta: float = 2.625
    min_share: float = 0.8
    prefix_documents: int = 2500
    global_chunk: int = 32_768
    global_lr: float = 0.001
    global_momentum: float = 0.9
    global_clip: float = 1.0
    ranks: int = 8
    bos_id: int = 1


def run(run: PublishedRun, settings: Settings) -> None:
    """Hints in stream order; documents longest first; one global phase."""
    scorer = _Scorer(run, settings)
    if run.model is None or run.scoring.documents is None:
        for span in run.readout().spans(range(len(run.plan))):
            rows = np.stack([span.row(i) for i in range(span.stop - span.first)])
            scorer.enter(span.first, np.log(rows))
        return
    starts = np.flatnonzero(run.tokens == settings.bos_id)
    # A document counts the next one's BOS, its last target.
    by_length = sorted(document_spans(starts, run.plan.positions), key=lambda span: span[1] - span[0])
    size = run.scoring.documents.batch
    batches = [by_length[i : i + size] for i in range(0, len(by_length), size)]
    longest_first = sorted(range(len(batches)), key=lambda i: -max(stop - start for start, stop in batches[i]))
    generator = torch.Generator().manual_seed(run.scoring.documents.seed)
    adapters = _new_adapters(run.model, size, run.scoring.documents, generator)
    scored: list[tuple[int, Document]] = []
    phase_over = settings.prefix_documents == 0
    for number in longest_first:
        batch = batches[number]
        if len(batch) == size:
            adapters.restart()  # B and moments; A stays as the last documents left it
            scorer.score_batch(batch, adapters)
        else:
            scorer.score_batch(batch, _new_adapters(run.model, len(batch), run.scoring.documents, generator))
        scored += [(number, document) for document in batch]
        if not phase_over and len(scored) >= settings.prefix_documents:
            prefix = [document for _, document in sorted(scored, key=lambda pair: pair[0])]
            _global_phase(run, settings, run.model, prefix[: settings.prefix_documents])
            adapters = _new_adapters(run.model, size, run.scoring.documents, generator)
            phase_over = True


def _new_adapters(model: GPT, rows: int, settings: DocumentSettings, generator: torch.Generator) -> DocumentAdapters:
    """Adapters whose ``A`` differs by row, as published."""
    adapters = DocumentAdapters(model, rows, settings)
    with torch.no_grad():
        for a, _ in adapters.parameters.values():
            bound = 1 / math.sqrt(a.shape[-1])
            a.copy_(torch.empty(a.shape).uniform_(-bound, bound, generator=generator))
    return adapters


class _Scorer:
    """Scores documents chunk by chunk, tilts, trains adapters."""

    def __init__(self, run: PublishedRun, settings: Settings) -> None:
        self.run, self.settings = run, settings
        self.hints = find_hints(run.tokens, settings.min_share)

    def score_batch(self, batch: list[Document], adapters: DocumentAdapters) -> None:
        """All chunks of ``batch``, whose longest document sets their length."""
        run, documents = self.run, adapters.settings
        lengths = [stop - start for start, stop in batch]
        longest = max(lengths) + 1  # in tokens
        chunk = next((length for limit, length in documents.chunks if longest <= limit), documents.last_chunk)
        counts = [-(-length // chunk) for length in lengths]
        for number in range(max(counts)):
            nominal = (number + 1) * chunk
            width = min(nominal, run.plan.length)
            ids = np.zeros((len(batch), width + 1), np.int64)
            places: list[tuple[int, int]] = []  # offset of the chunk in its row, positions
            for row, (start, _) in enumerate(batch):
                end = lengths[row] if number == counts[row] - 1 else nominal
                begin = max(end - run.plan.length, 0)
                active = number < counts[row]
                places.append((number * chunk - begin, end - number * chunk if active else 0))
                if active:
                    text = run.tokens[start + begin : start + end + 1]
                    ids[row, : len(text)] = text
            on_device = torch.from_numpy(ids).to(next(adapters.model.parameters()).device)
            with torch.enable_grad():
                logits = adapters.logits(on_device[:, :-1], slice(None))
                losses = F.cross_entropy(logits.flatten(0, 1), on_device[:, 1:].flatten(), reduction="none")
            log_probs = torch.log_softmax(logits.detach().double(), -1).cpu().numpy()
            for row, (offset, n) in enumerate(places):
                if n > 0:
                    self.enter(batch[row][0] + number * chunk, log_probs[row, offset : offset + n])
            later = [row for row, count in enumerate(counts) if number < count - 1]
            if later:
                nominal_offset = number * chunk - max(nominal - run.plan.length, 0)
                adapters.step(losses.view(len(batch), -1)[:, nominal_offset : nominal_offset + chunk], later)

    def enter(self, position: int, log_probs: Float64) -> None:
        """Tilt log-probabilities ``(n, V)`` of the positions from ``position`` on, and enter the targets'."""
        scores, boost = self.run.scores, math.expm1(self.settings.beta)
        every = np.arange(len(log_probs))
        hint = self.hints[position : position + len(log_probs)]
        targets = self.run.tokens[position + 1 : position + 1 + len(log_probs)].astype(np.int64)
        gated = hint >= 0
        normaliser = np.where(gated, np.log1p(boost * np.exp(log_probs[every, np.maximum(hint, 0)])), 0.0)
        nll = normaliser - log_probs[every, targets] - np.where(gated & (hint == targets), self.settings.beta, 0.0)
        nll = np.maximum(nll, 0.0)  # a certain hit may round to just below
        for sample in scores.samples(position, position + len(log_probs)):
            i = sample - position
            p = np.exp(log_probs[i] - normaliser[i])
            if gated[i]:
                p[hint[i]] *= 1 + boost
            scores.sum_up(sample, int(targets[i]), p, float(nll[i]))
        scores.enter(position, nll)


def _global_phase(run: PublishedRun, settings: Settings, model: GPT, documents: list[Document]) -> None:
    """SGD on all weights over the concatenated documents; each rank packs its sequences into a row."""
    tokens = np.concatenate([run.tokens[start : stop + 1] for start, stop in documents]).astype(np.int64)
    length, positions = run.plan.length, len(tokens) - 1
    chunk = max(settings.global_chunk // length, 1) * length if positions else 1
    chunks = -(-positions // chunk)
    # The published training loss caps logits by a constant: its learned caps get no gradient.
    parameters = [parameter for name, parameter in model.named_parameters() if not name.startswith("softcap.")]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.SGD(parameters, settings.global_lr, momentum=settings.global_momentum)
    for number in range(chunks - 1):  # the last chunk trains nothing
        for group in optimizer.param_groups:
            group["lr"] = settings.global_lr * 0.5 * (1 + math.cos(math.pi * number / max(chunks - 1, 1)))
        optimizer.zero_grad(set_to_none=True)
        sequences = chunk // length
        edges = [number * chunk + sequences * rank // settings.ranks * length for rank in range(settings.ranks + 1)]
        shares = [(a, b) for a, b in pairwise(edges) if a < b]
        for first, stop in shares:
            torch.autograd.backward(_packed_loss(model, tokens[first : stop + 1], length, settings) / len(shares))
        torch.nn.utils.clip_grad_norm_(parameters, settings.global_clip)
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def _packed_loss(model: GPT, tokens: np.typing.NDArray[np.int64], length: int, settings: Settings) -> torch.Tensor:
    """Mean cross-entropy of whole sequences: one packed row cut at documents, or a row each without packing."""
    ids = torch.from_numpy(tokens).to(next(model.parameters()).device)
    if model.config.attention == "varlen":
        row = ids[None, :-1]
        loss: torch.Tensor = model(row, ids[None, 1:], document_starts(row, settings.bos_id, length))
    else:
        loss = model(ids[:-1].view(-1, length), ids[1:].view(-1, length))
    return loss
