"""What mixers and test-time training are worth on top of a trained model: a 2 x 4 table of bits per byte and seconds.

    python benchmarks/mixing_a_model.py --json benchmarks/results/mixing_a_model.json

Two contests. ``mini``: the mini contest of ``make demo``, as it is in ``build/mini``. ``fineweb``: the first
``--tokens`` tokens of the real validation prefix in the folder ``REFEREE_DATA`` (default ``../shared/data``), with a
model of the ``mini`` preset trained on the 200 real documents beside it, none of which is in the prefix. Every cell is
a whole run of `evaluate`.
"""

from __future__ import annotations

import json
import lzma
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import msgspec
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from evaluator.display import Lines
from evaluator.evaluation import evaluate
from evaluator.resolve import Options
from evaluator.settings import AdaptSettings, EvalPreset, MixerSettings, ScoringSettings, settings_from
from evaluator.supervise import Fleet
from mini_contest.settings import BuildSettings
from mini_contest.training import pack, train_model
from rules.contest.profile import load_profile
from rules.contest.shards import read_shard, shard_path, write_shard
from rules.contest.tokenizer import load_tokenizer

ROOT = Path(__file__).resolve().parent.parent
MIXERS = ("none", "backoff", "pitman_yor", "tilt")


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of `evaluate`."""

    contest: str
    mixer: str
    ttt: bool
    bpb: float
    seconds: float
    phases: dict[str, float]
    sum_error: float
    digest: str


class Quiet(Lines):
    """A display that says nothing: the table is what counts."""

    def note(self, text: str) -> None:
        """Say nothing."""


@click.command()
@click.option(
    "--contest", "contests", multiple=True, default=("mini", "fineweb"), type=click.Choice(["mini", "fineweb"])
)
@click.option("--tokens", default=250_000, show_default=True, help="Tokens of the real prefix.")
@click.option("--steps", default=500, show_default=True, help="Training steps of the model for the prefix.")
@click.option("--nproc", default=2, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the cells and the machine here.")
def main(contests: tuple[str, ...], tokens: int, steps: int, nproc: int, json_file: Path | None) -> None:
    """Print the table."""
    console = Console()
    cells: list[Cell] = []
    for contest in contests:
        options = mini() if contest == "mini" else fineweb(tokens, steps)
        settings = settings_from(load_profile("mini").scoring, "the mini contest")
        for ttt in (False, True):
            for mixer in track(MIXERS, f"{contest}, TTT {'on' if ttt else 'off'}", console=Console(stderr=True)):
                cells.append(cell(contest, options, settings, mixer, ttt=ttt, nproc=nproc))  # noqa: PERF401 - the bar
        console.print(table(contest, [c for c in cells if c.contest == contest]))
    if json_file:
        machine = {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count()}
        record = {"machine": machine, "tokens": tokens, "steps": steps, "cells": [asdict(c) for c in cells]}
        json_file.write_text(json.dumps(record, indent=1) + "\n")


def cell(contest: str, options: Options, settings: ScoringSettings, mixer: str, *, ttt: bool, nproc: int) -> Cell:
    """One run."""
    adapt: AdaptSettings | None = settings.ttt if ttt else None
    chosen = msgspec.structs.replace(settings, ttt=adapt, mixer=MixerSettings(mixer))
    card = evaluate(
        Options(
            artifact=options.artifact,
            preset="mini",
            data=options.data,
            tokenizer=options.tokenizer,
            contest=options.contest,
            fleet=Fleet(nproc),
            scoring=EvalPreset(chosen),
            time_limit=86_400,
        ),
        Quiet(),
    )
    if card.bpb is None or card.time is None or card.normalisation is None:
        raise click.ClickException(f"{contest}, {mixer}: {card.status}: {card.message}")
    return Cell(
        contest,
        mixer,
        ttt,
        card.bpb,
        card.time.used,
        card.time.phases,
        card.normalisation.max_sum_error,
        card.digest or "",
    )


def table(contest: str, cells: list[Cell]) -> Table:
    """Rows TTT off and on, a column per mixer."""
    shown = Table(title=f"{contest}: bits per byte (seconds)")
    shown.add_column("test-time training")
    for mixer in MIXERS:
        shown.add_column(mixer, justify="right")
    for ttt in (False, True):
        row = [f"{c.bpb:.4f} ({c.seconds:.0f} s)" for c in cells if c.ttt == ttt]
        shown.add_row("on" if ttt else "off", *row)
    return shown


def mini() -> Options:
    """The mini contest of `make demo`."""
    folder = ROOT / "build" / "mini"
    if not (folder / "artifact.ptz").exists():
        raise click.ClickException("build/mini is not there: run `make demo` first")
    return Options(
        folder / "artifact.ptz",
        data=folder / "data",
        tokenizer=next((folder / "data").glob("*.model")),
        contest="mini",
    )


def fineweb(tokens: int, steps: int) -> Options:
    """The real prefix, and a model trained on the real documents beside it; cached under ``build``."""
    real = Path(os.environ.get("REFEREE_DATA", ROOT.parent / "shared" / "data"))
    tokenizer = real / "fineweb_1024_bpe.model"
    folder = ROOT / "build" / f"fineweb-{steps}"
    folder.mkdir(parents=True, exist_ok=True)
    artifact = folder / "artifact.ptz"
    if not artifact.exists():
        settings = BuildSettings(steps=steps)
        console = Console(stderr=True)
        train = training_tokens(real / "fineweb_docs_200.jsonl.xz", tokenizer)

        def report(done: int, total: int, detail: str = "") -> None:
            if done % 50 == 0:
                console.print(f"train: {done} of {total}, {detail}")

        artifact.write_bytes(pack(train_model(train, settings, report).state))
    data = folder / f"data-{tokens}"
    data.mkdir(exist_ok=True)
    write_shard(shard_path(data, "val"), read_shard(real / "fineweb_val_prefix_sp1024.bin")[:tokens])
    return Options(artifact, data=data, tokenizer=tokenizer, contest="parameter-golf")


def training_tokens(documents: Path, tokenizer: Path) -> np.ndarray[tuple[int], np.dtype[np.uint16]]:
    """The documents as one stream, each begun by BOS."""
    loaded = load_tokenizer(tokenizer)
    stream: list[int] = []
    with lzma.open(documents, "rt", encoding="utf-8") as lines:
        for line in lines:
            stream.append(loaded.bos_id)
            stream.extend(loaded.processor.encode(json.loads(line)["text"]))
    return np.array(stream, np.uint16)


if __name__ == "__main__":
    main()
