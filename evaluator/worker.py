"""One scoring process: ``python -m evaluator.worker JOB``, alone or as one of many under torchrun.

It is the organiser's code; nothing of the submission runs here. Still it is timed, so it neither keeps the clock nor
decides when it starts: see :mod:`evaluator.job`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from evaluator.job import Done, Failed, Job, Progress, Ready, Started, Underway, emit
from evaluator.ledger import Ledger
from evaluator.mixer import build_mixer
from evaluator.mixer.base import Int32, Mixer
from evaluator.processes import die_with_parent
from evaluator.refusal import Refused, refusing
from evaluator.scoring.adapt import Adapter
from evaluator.scoring.documents import Documents
from evaluator.scoring.loop import proven_chunks, score_stream
from evaluator.scoring.network import Network
from evaluator.scoring.ranks import Ranks
from evaluator.scoring.uniform import Uniform
from evaluator.scoring.windows import WindowPlan, plan_windows
from evaluator.stream import ValidationStream, open_stream
from reference_model import GPT, GPTConfig
from rules.contest.profile import load_profile

_HEARTBEAT_SECONDS = 0.25


def make_deterministic() -> None:
    """Fix what would let the same numbers come out in other bits: threads, algorithms, reduced precision."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


def load_model(job: Job, device: torch.device) -> GPT | None:
    """The model with the artifact's weights, in evaluation mode, in the precision of the contest (bf16 on GPUs)."""
    if job.config is None:
        return None
    config = GPTConfig.from_mapping(job.config)
    with torch.device("meta"):
        model = GPT(config)
    with safe_open(job.tensors, framework="pt") as file:
        state = {name: file.get_tensor(job.names[name]).reshape(own.shape) for name, own in model.state_dict().items()}
    # The tensors of the file take the place of the meta ones, dtype and all: float32.
    model.load_state_dict(state, strict=True, assign=True)
    if device.type == "cuda":
        model.to_bf16_activations()
    return model.to(device).eval()


def open_when_told(job: Job, ranks: Ranks) -> tuple[GPT | None, ValidationStream, float]:
    """Load the model, report, wait for the parent's ``go``; then open the data and say how long that took.

    Raises:
        Refused: the data cannot be scored.
    """
    model = load_model(job, ranks.device)
    devices = ranks.devices()  # returns when everyone is ready
    if ranks.rank == 0:
        emit(job.events, Ready(tuple(devices)))
        while not job.go.exists():
            time.sleep(0.005)
    ranks.share(torch.zeros(1, device=ranks.device))  # returns when rank 0 has seen ``go``

    clock = time.perf_counter()
    stream = open_stream(Path(job.data), Path(job.tokenizer), load_profile(job.contest))
    return model, stream, time.perf_counter() - clock


def vocabulary(model: GPT | None, stream: ValidationStream) -> int:
    """Size of the distribution: the model's, else the tokenizer's.

    Raises:
        Refused: the data hold tokens outside it.
    """
    size = model.config.vocab_size if model else stream.tokenizer.vocab_size
    largest = int(stream.tokens.max())
    if largest >= size:
        raise Refused("vocabulary-mismatch", f"the data hold token {largest}, the model has {size}")
    return size


def run(job: Job, ranks: Ranks) -> None:
    """Score the job's stream; rank 0 reports and leaves the scores in the job's folder."""
    model, stream, read = open_when_told(job, ranks)
    clock = time.perf_counter()
    settings = job.settings
    plan = plan_windows(settings.windows, stream.positions)
    vocab_size = vocabulary(model, stream)
    with refusing("bad-settings"):
        mixing = _mixing(job, stream, vocab_size, ranks)
    read += time.perf_counter() - clock

    ledger = Ledger(stream.tokens)
    network = (
        Uniform(stream.tokens, plan, vocab_size) if model is None else _network(job, model, stream, plan, mixing, ranks)
    )
    adapter = None if model is None else _adapter(job, model, stream, plan, ranks)
    running = np.concatenate([[0], np.cumsum(stream.credited, dtype=np.int64)])

    def report(ledger: Ledger) -> None:
        if ranks.rank == 0:
            p = ledger.position
            emit(job.events, Progress(p, ledger.positions, ledger.total, int(running[p]), ledger.scored))

    with refusing("score-not-finite"):
        phases, proofs = score_stream(
            network, ledger, mixing.mixer, adapter, chunk=settings.chunk, ranks=ranks, on_chunk=report
        )
    if ranks.rank == 0:
        np.save(job.scores, ledger.nll)
        covered = plan.coverage()
        documents = network if isinstance(network, Documents) else None
        emit(
            job.events,
            Done(
                exactly_once=ledger.exactly_once,
                total=ledger.total,
                scored=ledger.scored,
                credited_bytes=int((covered * stream.credited).sum()),
                phases={"read": read, **asdict(phases)},
                sums=[(proof.position, proof.mass, proof.target_error) for proof in proofs],
                steps=adapter.steps if adapter else documents.steps if documents else 0,
                adapted=adapter.adapted if adapter else documents.adapters.adapted if documents else 0,
            ),
        )


@dataclass(frozen=True)
class _Mixing:
    """Rank 0's mixer (its tables are large, mixing is a small part of the work), and what all ranks know of it.

    Attributes:
        mixer: None on the other ranks, and where nothing is mixed.
        hints: one token per position, shape (positions,); None where the mixer has none.
        needs_entropy: whether the network's entropy at each position is wanted.
    """

    mixer: Mixer | None
    hints: Int32 | None
    needs_entropy: bool


def _mixing(job: Job, stream: ValidationStream, vocab: int, ranks: Ranks) -> _Mixing:
    chosen = job.settings.mixer
    mixer = build_mixer(chosen.name, stream.tokens, vocab, chosen.settings) if ranks.rank == 0 else None
    facts = torch.zeros(2, dtype=torch.int64, device=ranks.device)
    if mixer:
        facts = torch.tensor([mixer.hints is not None, mixer.needs_entropy], dtype=torch.int64, device=ranks.device)
    ranks.share(facts)
    has_hints, needs_entropy = (bool(fact) for fact in facts.tolist())
    if not has_hints:
        return _Mixing(mixer, None, needs_entropy)
    hints = torch.zeros(stream.positions, dtype=torch.int32, device=ranks.device)
    if mixer and mixer.hints is not None:
        hints = torch.from_numpy(mixer.hints).to(ranks.device)
    ranks.share(hints)
    return _Mixing(mixer, hints.cpu().numpy(), needs_entropy)


def _network(
    job: Job, model: GPT, stream: ValidationStream, plan: WindowPlan, mixing: _Mixing, ranks: Ranks
) -> Network | Documents:
    """The model over the windows of ``plan``, or with adapters of its own for each document."""
    settings = job.settings
    heard = 0.0

    def underway(position: int) -> None:
        nonlocal heard
        if ranks.rank == 0 and time.monotonic() - heard > _HEARTBEAT_SECONDS:
            heard = time.monotonic()
            emit(job.events, Underway(position, stream.positions))

    if settings.documents:
        chunks = plan.chunks(settings.chunk)
        return Documents(
            model,
            stream.tokens,
            plan,
            stream.starts,
            settings.documents,
            ranks,
            hints=mixing.hints,
            entropy=mixing.needs_entropy,
            rows=[int(plan.first[chunks[number][0]]) for number in proven_chunks(len(chunks))],
            on_batch=underway,
        )
    return Network(
        model,
        stream.tokens,
        plan,
        settings.micro_batch,
        ranks,
        hints=mixing.hints,
        entropy=mixing.needs_entropy,
        on_batch=underway,
    )


def _adapter(job: Job, model: GPT, stream: ValidationStream, plan: WindowPlan, ranks: Ranks) -> Adapter | None:
    settings = job.settings
    if not settings.ttt:
        return None
    with refusing("bad-settings"):
        return Adapter(
            model,
            settings.ttt,
            length=settings.windows.length,
            gradient_rows=settings.gradient_rows,
            chunks=len(plan.chunks(settings.chunk)),
            credited=stream.credited,
            ranks=ranks,
        )


def main(arguments: list[str], run: Callable[[Job, Ranks], None]) -> int:
    """Have ``run`` do the job whose file is the one argument."""
    die_with_parent()
    job = Job.load(Path(arguments[0]))
    rank = int(os.environ.get("RANK", "0"))
    emit(job.events, Started(rank, os.getpid()))
    make_deterministic()
    ranks = Ranks.join()
    try:
        run(job, ranks)
    except Refused as refused:
        emit(job.events, Failed(rank, "refused", refused.reason, refused.message))
        return 2
    except Exception as error:
        emit(job.events, Failed(rank, "raised", "rank-died", f"{type(error).__name__}: {error}"))
        raise
    ranks.leave()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], run))
