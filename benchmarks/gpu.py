"""What an evaluation costs on the GPUs of this machine, and whether it gives the same bits twice.

    make bench-gpu

A model of the size of #1477 (35.9 M parameters, fresh weights: its speed does not depend on their values) scores the
first ``--tokens`` tokens of the real validation prefix (``REFEREE_DATA``, default ``../shared/data``) with windows of
2,048 and stride 64: without and with the score-first test-time training of #1477, with the ``pitman_yor`` mixer. Each
run is done twice and the digests are compared. The record, device named, goes to ``benchmarks/results/gpu.json``.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
import msgspec
import torch
from rich.console import Console
from rich.table import Table

from evaluator.artifact.families import canonical
from evaluator.display import make_display
from evaluator.evaluation import evaluate
from evaluator.resolve import Options
from evaluator.settings import EvalPreset, MixerSettings, ScoringSettings, load_eval_preset
from evaluator.supervise import Fleet
from reference_model import GPT, load_preset
from rules.contest.shards import read_shard, shard_path, write_shard

ROOT = Path(__file__).resolve().parent.parent


@click.command()
@click.option("--tokens", default=1_000_000, show_default=True)
@click.option("--nproc", type=int, help="Processes; default: one per GPU.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), default=ROOT / "benchmarks/results/gpu.json")
def main(tokens: int, nproc: int | None, json_file: Path) -> None:
    """Measure and record."""
    if not torch.cuda.is_available():
        click.echo("bench-gpu: no GPU here; nothing was measured", err=True)
        sys.exit(1)
    real = Path(os.environ.get("REFEREE_DATA", ROOT.parent / "shared" / "data"))
    processes = nproc or torch.cuda.device_count()
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as folder:
        artifact = fresh_artifact(Path(folder))
        write_shard(shard_path(Path(folder), "val"), read_shard(real / "fineweb_val_prefix_sp1024.bin")[:tokens])
        for name in ("sliding", "pr1477"):
            settings = msgspec.structs.replace(load_eval_preset(name).scoring, mixer=MixerSettings("pitman_yor"))
            options = Options(
                artifact,
                preset="pr1477",
                data=Path(folder),
                tokenizer=real / "fineweb_1024_bpe.model",
                fleet=Fleet(processes),
                scoring=EvalPreset(settings),
                time_limit=3600,
            )
            runs.append(twice(name, options, settings))
    record = {"devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())], "runs": runs}
    record |= {"torch": torch.__version__, "tokens": tokens, "processes": processes}
    json_file.write_text(json.dumps(record, indent=1) + "\n")
    show(record)


def twice(name: str, options: Options, settings: ScoringSettings) -> dict[str, Any]:
    """Two runs of one evaluation."""
    cards = []
    for _ in range(2):
        with make_display() as display:
            cards.append(evaluate(options, display))
    first = cards[0]
    if first.time is None or first.score is None:
        raise click.ClickException(f"{name}: {first.status}: {first.message}")
    return {
        "eval_preset": name,
        "windows": [settings.windows.length, settings.windows.stride],
        "seconds": [card.time.used for card in cards if card.time],
        "phases": first.time.phases,
        "tokens_per_second": first.score.tokens / first.time.used,
        "bpb": first.bpb,
        "same_digest": len({card.digest for card in cards}) == 1,
    }


def fresh_artifact(folder: Path) -> Path:
    """A canonical artifact of the size of #1477."""
    config = load_preset("pr1477")
    state = {name: value.numpy() for name, value in GPT(config).state_dict().items()}
    path = folder / "artifact.ptz"
    path.write_bytes(canonical.write(state, config.to_mapping()))
    return path


def show(record: dict[str, Any]) -> None:
    """Print the record as a table."""
    table = Table(title=f"{record['processes']} processes on {', '.join(record['devices'])}")
    for column in ("evaluation preset", "seconds", "tokens/s", "same digest twice"):
        table.add_column(column, justify="right")
    for run in record["runs"]:
        seconds = ", ".join(f"{s:.1f}" for s in run["seconds"])
        table.add_row(run["eval_preset"], seconds, f"{run['tokens_per_second']:,.0f}", str(run["same_digest"]))
    Console().print(table)


if __name__ == "__main__":
    main()
