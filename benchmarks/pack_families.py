"""What `evaluate pack` makes of one checkpoint of a record's real shape, recipe by recipe: bytes and bits per byte.

    python benchmarks/pack_families.py --json benchmarks/results/pack_families.json

The model is #1477's, 35,943,513 parameters, trained for a few dozen steps on the 200 real documents in the folder
``REFEREE_DATA`` (default ``../shared/data``): enough to have a loss that quantisation can spoil, no more. It is scored
on the first ``--tokens`` tokens of the real validation prefix, encoded anew with the 8,192-piece tokenizer, in windows
of 512 that do not overlap. Each loss is that of a whole run of `evaluate` on the file that was written, the float
checkpoint's too.
"""

from __future__ import annotations

import dataclasses
import json
import lzma
import os
import platform
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file, save_file

from evaluator.display import Lines
from evaluator.evaluation import evaluate
from evaluator.packing.command import PackOptions, pack_checkpoint
from evaluator.packing.loss import bits_per_byte
from evaluator.resolve import Options
from evaluator.settings import EvalPreset, ScoringSettings, WindowSettings
from evaluator.stream import open_stream
from evaluator.supervise import Fleet
from reference_model import GPT, GPTConfig, load_preset
from reference_model.train.settings import StepReport, TrainSettings
from reference_model.train.trainer import train
from rules.contest.profile import load_profile
from rules.contest.shards import read_shard, shard_path, write_shard
from rules.contest.tokenizer import Tokenizer, load_tokenizer

ROOT = Path(__file__).resolve().parent.parent
REAL = Path(os.environ.get("REFEREE_DATA", ROOT.parent / "shared" / "data"))
TOKENIZER = REAL / "fineweb_8192_bpe.model"
MODEL, CONTEXT = "pr1477", 512
SETTINGS = TrainSettings(
    steps=24,
    batch_sequences=2,
    matrix_lr=0.01,
    embed_lr=0.01,
    scalar_lr=0.01,
    row_normalise=True,
    warmup=3,
    loop_from=0.5,
)
CAP = 16_000_000


def prepare(folder: Path, targets: int, console: Console) -> tuple[Path, Path]:
    """The checkpoint and the folder of shards, made once."""
    data, checkpoint = folder / f"data-{targets}", folder / "checkpoint.safetensors"
    if not data.exists():
        data.mkdir(parents=True)
        loaded = load_tokenizer(TOKENIZER)
        with lzma.open(REAL / "fineweb_docs_200.jsonl.xz", "rt", encoding="utf-8") as lines:
            write_shard(shard_path(data, "train"), stream(loaded, (json.loads(line)["text"] for line in lines)))
        write_shard(shard_path(data, "val"), stream(loaded, prefix_documents())[: targets + 1])
    if not checkpoint.exists():
        model = GPT(shortened(), seed=1)

        def report(step: StepReport) -> None:
            console.print(f"step {step.step + 1} of {step.steps}: loss {step.loss:.3f}")

        save_file(dict(train(model, read_shard(shard_path(data, "train")), SETTINGS, report).state), checkpoint)
    return checkpoint, data


def shortened() -> GPTConfig:
    """The model with a context that a CPU can afford."""
    return dataclasses.replace(load_preset(MODEL), context_len=CONTEXT)


def prefix_documents() -> Iterable[str]:
    """The validation prefix as text, document by document."""
    loaded = load_tokenizer(REAL / "fineweb_1024_bpe.model")
    tokens = read_shard(REAL / "fineweb_val_prefix_sp1024.bin").tolist()
    starts = [*np.flatnonzero(np.array(tokens) == loaded.bos_id).tolist(), len(tokens)]
    return (loaded.processor.decode(tokens[a + 1 : b]) for a, b in pairwise(starts))


def stream(loaded: Tokenizer, documents: Iterable[str]) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
    """The documents as one stream, each begun by BOS."""
    tokens: list[int] = []
    for text in documents:
        tokens.append(loaded.bos_id)
        tokens.extend(loaded.processor.encode(text))
    return np.array(tokens, np.uint16)


@dataclass(frozen=True, slots=True)
class Row:
    """One recipe.

    Attributes:
        recipe: its name.
        family: the format family that `evaluate` recognised.
        artifact_bytes: size of the file.
        given_up: what it took to fit the cap.
        bpb: of the artifact, by a whole run of `evaluate`.
        float_bpb: of the checkpoint.
        pack_seconds: wall time of `evaluate pack`, on however busy a machine.
        groups: where the bytes go, by kind of tensor.
    """

    recipe: str
    family: str
    artifact_bytes: int
    given_up: str
    bpb: float
    float_bpb: float
    pack_seconds: float
    groups: list[dict[str, object]]


class Quiet(Lines):
    """A display that says nothing: the table is what counts."""

    def note(self, text: str) -> None:
        """Say nothing."""


@click.command()
@click.option("--recipe", "recipes", multiple=True, default=("gptq", "p8", "sdclip", "lqer", "pn"), show_default=True)
@click.option("--targets", default=20_480, show_default=True, help="Targets to score.")
@click.option("--calibration-tokens", default=8_192, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the rows and the machine here.")
def main(recipes: tuple[str, ...], targets: int, calibration_tokens: int, json_file: Path | None) -> None:
    """Print the table, and write it anew after each row."""
    console, folder = Console(), ROOT / "build" / "pack-families"
    checkpoint, data = prepare(folder, targets, Console(stderr=True))
    rows: list[Row] = []
    float_bpb = checkpoint_bpb(checkpoint, data, targets)
    for recipe in recipes:
        options = PackOptions(
            checkpoint=checkpoint,
            preset=MODEL,
            config=folder / "context.toml",
            recipe=recipe,
            output=folder / f"{recipe}.ptz",
            training=data,
            training_tokens=calibration_tokens,
        )
        rows.append(row(options, float_bpb, data, Console(stderr=True)))
        if json_file:
            machine = {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count()}
            about = {"model": MODEL, "training": asdict(SETTINGS), "context": CONTEXT, "targets": targets}
            record = {"machine": machine, **about, "cap": CAP, "calibration_tokens": calibration_tokens}
            json_file.write_text(json.dumps({**record, "rows": list(map(asdict, rows))}, indent=1) + "\n")
    console.print(table(rows))


def checkpoint_bpb(checkpoint: Path, data: Path, targets: int) -> float:
    """Bits per byte of the float weights."""
    stream = open_stream(data, TOKENIZER, load_profile("parameter-golf"))
    return bits_per_byte(load_file(checkpoint), shortened(), stream, targets)


def row(options: PackOptions, float_bpb: float, data: Path, console: Console) -> Row:
    """Pack, then score the file."""
    assert options.config is not None
    options.config.write_text(f"context_len = {CONTEXT}\n")
    begun = time.perf_counter()
    report = pack_checkpoint(options, lambda line: console.print(f"{options.recipe}: {line}"))
    seconds = time.perf_counter() - begun
    scoring = EvalPreset(ScoringSettings(WindowSettings("W-C", CONTEXT, CONTEXT), chunk=32_768, micro_batch=4))
    card = evaluate(
        Options(
            artifact=options.output,
            preset=MODEL,
            data=data,
            tokenizer=TOKENIZER,
            contest="parameter-golf",
            fleet=Fleet(1),
            scoring=scoring,
            time_limit=86_400,
        ),
        Quiet(),
    )
    if card.bpb is None or card.artifact is None:
        raise click.ClickException(f"{options.recipe}: {card.status}: {card.message}")
    return Row(
        recipe=options.recipe,
        family=card.artifact.family,
        artifact_bytes=report.artifact_bytes,
        given_up=str(report.measures),
        bpb=card.bpb,
        float_bpb=float_bpb,
        pack_seconds=seconds,
        groups=[asdict(group) for group in report.groups],
    )


def table(rows: list[Row]) -> Table:
    """A row per recipe."""
    shown = Table(title=f"{MODEL}, {rows[0].float_bpb:.4f} bpb as a float checkpoint")
    for title in ("recipe", "family", "bytes", "given up", "bpb", "loss"):
        shown.add_column(title, justify="left" if title in ("recipe", "family", "given up") else "right")
    for r in rows:
        loss = f"{r.bpb - r.float_bpb:+.5f}"
        shown.add_row(r.recipe, r.family, f"{r.artifact_bytes:,}", r.given_up, f"{r.bpb:.5f}", loss)
    return shown


if __name__ == "__main__":
    main()
