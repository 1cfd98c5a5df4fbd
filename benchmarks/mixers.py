"""What the mixers cost and what they are worth without any network: the base is uniform, so every bit is theirs.

    python benchmarks/mixers.py --json benchmarks/results/mixers.json

Reads the million real tokens of the folder ``REFEREE_DATA`` (default ``../shared/data``). Nothing here starts a thread.
A run builds the mixer, counts, scores every token and learns at the end of every chunk; of ``--repeats`` runs the one
that took the least processor time counts. Three tables:

* cost and bits per byte of every mixer, by longest context;
* cost per token with a vocabulary of 8,192 against 1,024, on two streams: the same one with every id multiplied by
  eight, which changes nothing but the vocabulary, and the same text in the tokens of the 8,192-piece tokenizer, where
  contexts of as many tokens are longer and rarer;
* tokens per second of the statistics alone, at a quarter of a million tokens and at all.

Processor time is what the work costs a core that has nothing else to do; wall time stands beside it and is longer on
a machine that is shared.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numba
import numpy as np
from rich.console import Console
from rich.table import Table

from evaluator.ledger import Ledger, Tokens, to_fixed_point
from evaluator.mixer import BaseScores, build_mixer
from evaluator.mixer.base import Float64
from rules.contest.byte_counts import ByteTable
from rules.contest.shards import read_shard
from rules.contest.tokenizer import load_tokenizer

ROOT = Path(__file__).resolve().parent.parent
SMALL = 250_000
LARGE_VOCAB = 8192
CASES: list[tuple[str, dict[str, Any]]] = [
    ("none", {}),
    *((name, {"order": order}) for name in ("pitman_yor", "backoff", "tilt") for order in (1, 3, 6)),
    ("tilt", {"order": 16}),
]
COUNTING: list[tuple[str, dict[str, Any]]] = [("pitman_yor", {}), ("backoff", {}), ("tilt", {})]


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement; ``bpb`` is None where the stream's bytes were not counted."""

    mixer: str
    settings: dict[str, Any]
    stream: str
    tokens: int
    vocab_size: int
    cpu_us_per_token: float
    wall_us_per_token: float
    bpb: float | None


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream to walk along, with the number of bytes its targets stand for."""

    name: str
    tokens: Tokens
    vocab_size: int
    target_bytes: int | None = None


def walk(stream: Stream, name: str, settings: dict[str, Any], chunk: int) -> float:
    """Walk a new mixer along the stream, base uniform; returns the summed log-probability of the targets (nats)."""
    mixer = build_mixer(name, stream.tokens, stream.vocab_size, settings)
    ledger = Ledger(stream.tokens)
    uniform = np.full(chunk, -math.log(stream.vocab_size))
    total = 0.0
    for start in range(0, ledger.positions, chunk):
        stop = min(start + chunk, ledger.positions)
        base: Float64 = uniform[: stop - start]
        mixer.prepare(stop)
        scores = mixer.log_prob(stop, BaseScores(base, -base, base))
        total += float(scores.sum())
        mixer.learn(ledger.credit(start, to_fixed_point(-scores)))
    return total


@dataclass(frozen=True, slots=True, order=True)
class Timed:
    """Seconds of a run, and what it returned."""

    cpu: float
    wall: float
    result: float


def best(repeats: int, run: Callable[[], float]) -> Timed:
    """The run of ``repeats`` that took the least processor time."""
    timed = []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        result = run()
        timed.append(Timed(time.process_time() - cpu, time.perf_counter() - wall, result))
    return min(timed)


def measure(stream: Stream, name: str, settings: dict[str, Any], *, chunk: int, repeats: int) -> Row:
    """One row of a table."""
    timed = best(repeats, lambda: walk(stream, name, settings, chunk))
    positions = len(stream.tokens) - 1
    bpb = None if stream.target_bytes is None else -timed.result / math.log(2.0) / stream.target_bytes
    cpu, wall = 1e6 * timed.cpu / positions, 1e6 * timed.wall / positions
    return Row(name, settings, stream.name, positions, stream.vocab_size, cpu, wall, bpb)


def statistics_rate(stream: Stream, name: str, settings: dict[str, Any], repeats: int) -> float:
    """Tokens per second of processor time of what is counted, nothing scored."""

    def count() -> float:
        mixer = build_mixer(name, stream.tokens, stream.vocab_size, settings)
        mixer.prepare(len(stream.tokens) - 1)
        return 0.0

    return (len(stream.tokens) - 1) / best(repeats, count).cpu


def streams(data: Path) -> list[Stream]:
    """The real prefix in its own tokens, with ids multiplied by eight, and in the tokens of the larger tokenizer."""
    tokens = np.asarray(read_shard(data / "fineweb_val_prefix_sp1024.bin"))
    small, large = (load_tokenizer(data / f"fineweb_{v}_bpe.model") for v in (1024, LARGE_VOCAB))
    credited = ByteTable.of(small.processor).credited(tokens)
    documents = np.split(tokens, np.flatnonzero(tokens == small.bos_id))[1:]
    texts = small.processor.decode([document[1:].tolist() for document in documents])
    again = [[large.bos_id, *ids] for ids in large.processor.encode(texts)]
    return [
        Stream("sp1024", tokens, 1024, int(credited.sum())),
        Stream("sp1024, ids x 8", (tokens * np.uint16(8)).astype(np.uint16), LARGE_VOCAB),
        Stream("sp8192", np.array([token for ids in again for token in ids], np.uint16), LARGE_VOCAB),
    ]


def environment() -> dict[str, Any]:
    """What the numbers were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor(),
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def show(console: Console, title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; the first two columns are text, the others numbers."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < 2 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def describe(settings: dict[str, Any]) -> str:
    """Settings for a cell."""
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "defaults"


@click.command(help=__doc__)
@click.option("--data", type=click.Path(path_type=Path), default=None, help="Folder of the real tokens and tokenizers.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), default=None, help="Write the numbers here.")
@click.option("--chunk", default=8192, show_default=True, help="Positions between two calls of learn().")
@click.option("--repeats", default=3, show_default=True, help="Runs; the fastest counts.")
def main(data: Path | None, json_path: Path | None, chunk: int, repeats: int) -> None:
    """Measure, print, write."""
    folder = data or Path(os.environ.get("REFEREE_DATA", ROOT.parent / "shared" / "data"))
    console = Console()
    real, remapped, retokenised = streams(folder)
    warm = Stream("warm-up", real.tokens[:3000], real.vocab_size)
    for name, settings in CASES:  # compile
        walk(warm, name, settings, chunk)

    rows = [measure(real, name, settings, chunk=chunk, repeats=repeats) for name, settings in CASES]
    show(
        console,
        f"{real.tokens.size - 1:,} targets, uniform base, learning every {chunk:,} tokens",
        ["mixer", "settings", "CPU us/token", "wall us/token", "bpb"],
        [
            [r.mixer, describe(r.settings), f"{r.cpu_us_per_token:.3f}", f"{r.wall_us_per_token:.3f}", f"{r.bpb:.4f}"]
            for r in rows
        ],
    )

    vocabulary: list[dict[str, Any]] = []
    for name, settings in COUNTING:
        costs = [
            measure(stream, name, settings, chunk=chunk, repeats=repeats) for stream in (real, remapped, retokenised)
        ]
        vocabulary += [{**asdict(row), "ratio": row.cpu_us_per_token / costs[0].cpu_us_per_token} for row in costs]
    show(
        console,
        "Cost by vocabulary",
        ["mixer", "stream", "vocabulary", "tokens", "CPU us/token", "ratio"],
        [
            [
                v["mixer"],
                v["stream"],
                f"{v['vocab_size']:,}",
                f"{v['tokens']:,}",
                f"{v['cpu_us_per_token']:.3f}",
                f"{v['ratio']:.2f}",
            ]
            for v in vocabulary
        ],
    )

    part = Stream(real.name, real.tokens[: SMALL + 1], real.vocab_size)
    statistics: list[dict[str, Any]] = [
        {
            "mixer": name,
            "settings": settings,
            "tokens": len(stream.tokens) - 1,
            "tokens_per_second": statistics_rate(stream, name, settings, repeats),
        }
        for name, settings in COUNTING
        for stream in (part, real)
    ]
    show(
        console,
        "Statistics alone",
        ["mixer", "settings", "tokens", "tokens/s"],
        [
            [s["mixer"], describe(s["settings"]), f"{s['tokens']:,}", f"{s['tokens_per_second']:,.0f}"]
            for s in statistics
        ],
    )
    if json_path:
        report = {
            "environment": environment(),
            "chunk": chunk,
            "repeats": repeats,
            "mixers": [asdict(row) for row in rows],
            "vocabulary": vocabulary,
            "statistics": statistics,
        }
        json_path.parent.mkdir(parents=True, exist_ok=True)
        json_path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
