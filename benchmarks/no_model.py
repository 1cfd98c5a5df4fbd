"""What the published mixer of pull request 779 "scores" with no model at all: the first picture of the README.

    python benchmarks/no_model.py --json benchmarks/results/no_model.json --svg docs/no-model.svg

The stream is the real validation prefix in the folder ``REFEREE_DATA`` (default ``../shared/data``). The model is the
uniform distribution. The published preset and its legal counterpart are scaled to the stream: tables end as full as in
the published run, and there are as many chunks. A second published run with chunks of 131,072 tokens shows how much of
it is the freshness of the tables.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import click
import msgspec
import numpy as np
from rich.console import Console

from evaluator.comparison import Comparison, compare
from evaluator.display import make_display
from evaluator.report.compare import picture, print_comparison
from evaluator.resolve import Options
from evaluator.settings import EvalPreset, load_eval_preset

ROOT = Path(__file__).resolve().parent.parent
PRESETS = ("pr779-as-published", "pr779-legal")
LARGE_CHUNKS = 131_072
_SLOW_MACHINE_SECONDS = 3600.0


@click.command()
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the rows here.")
@click.option("--svg", "svg_file", type=click.Path(path_type=Path), help="Write the picture here.")
def main(json_file: Path | None, svg_file: Path | None) -> None:
    """Print the table."""
    folder = Path(os.environ.get("REFEREE_DATA", ROOT.parent / "shared" / "data"))
    options = Options(
        artifact=None, data=folder, tokenizer=folder / "fineweb_1024_bpe.model", time_limit=_SLOW_MACHINE_SECONDS
    )
    with make_display() as display:
        comparison = compare(options, {name: load_eval_preset(name) for name in PRESETS}, display)
        large = compare(options, {f"chunks of {LARGE_CHUNKS:,}": large_chunks(comparison)}, display)
    for found in (comparison, large):
        print_comparison(found, Console())
    if json_file:
        record = {
            "machine": {"python": platform.python_version(), "numpy": np.__version__, "cores": os.cpu_count()},
            "stream": comparison.title,
            "scaled": [card.scaled for card in comparison.cards.values()],
            "rows": msgspec.to_builtins(comparison.rows + large.rows),
        }
        json_file.write_text(json.dumps(record, indent=1) + "\n")
    if svg_file:
        svg_file.write_text(picture(comparison))


def large_chunks(comparison: Comparison) -> EvalPreset:
    """The published preset of ``comparison`` as it was scaled, but for the chunk."""
    card = comparison.cards[PRESETS[0]]
    if card.scoring is None:
        raise click.ClickException(f"{PRESETS[0]}: {card.status}: {card.message}")
    # Said to be written for a single position, it is not scaled again.
    return EvalPreset(msgspec.structs.replace(card.scoring, chunk=LARGE_CHUNKS), card.published, positions=1)


if __name__ == "__main__":
    main()
