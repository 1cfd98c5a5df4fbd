"""Command line of ``evaluate --compare``."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec
from rich.console import Console

from auditor.exits import Exit
from auditor.outputs import STDOUT, OutputFile, write_file
from evaluator.display import make_display
from evaluator.environment import default_processes
from evaluator.refusal import Refused
from evaluator.resolve import AUTO, Options
from evaluator.settings import eval_preset_names, load_eval_preset
from evaluator.supervise import Fleet

_PATH = click.Path(path_type=Path)
_NO_LIMIT_SECONDS = 7 * 86_400.0
"""A comparison is a demonstration: a slow machine must not cut it short."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, required=True, metavar="PRESET... [ARTIFACT]")
@click.option("--model", type=click.Choice(["none"]), help="none: no artifact, a uniform distribution in its place.")
@click.option("--preset", default=AUTO, show_default=True, help="Model preset of the artifact.")
@click.option("--data", type=_PATH, help="Folder of the validation shards (fineweb_val_*.bin).")
@click.option("--tokenizer", type=_PATH, help="SentencePiece model that made the shards.")
@click.option("--contest", help="Contest profile.")
@click.option("--nproc", type=click.IntRange(1, 1024), help="Scoring processes for the legal presets.")
@click.option(
    "--json", "json_file", type=OutputFile(dash=True), help="Write rows and scorecards as JSON (- for standard output)."
)
@click.option("--html", "html_file", type=OutputFile(), help="Write table and plots as one HTML page.")
@click.option("--svg", "svg_file", type=OutputFile(), help="Write the plots as one picture.")
@click.option("--allow-unsandboxed", is_flag=True, help="Decode without isolation where no sandbox works.")
def compare_presets(
    names: tuple[str, ...],
    model: str | None,
    preset: str,
    data: Path | None,
    tokenizer: Path | None,
    contest: str | None,
    nproc: int | None,
    json_file: Path | None,
    html_file: Path | None,
    svg_file: Path | None,
    allow_unsandboxed: bool,
) -> int:
    """Score one ARTIFACT (or, with --model none, no model at all) with each evaluation PRESET and compare.

    Presets named prNNN-as-published do exactly what the published code does, violations included. All presets are
    scaled to the size of the data: a hash table ends as full as in the published run. Nothing of this is official.

    Exit codes: 0 every preset gave a score; 2 one did not; 64 usage; 70 internal.
    """
    from evaluator.comparison import compare
    from evaluator.report.compare import picture, print_comparison, render

    known = eval_preset_names()
    presets = [name for name in names if name in known or name.endswith(".toml")]
    others = [name for name in names if name not in presets]
    if (model == "none") == bool(others) or len(others) > 1 or not presets:
        raise click.UsageError(
            f"give evaluation presets ({', '.join(known)}) and one artifact, or --model none; "
            f"not presets: {', '.join(others) or 'nothing'}"
        )
    options = Options(
        artifact=Path(others[0]) if others else None,
        preset=preset,
        data=data,
        tokenizer=tokenizer,
        contest=contest,
        fleet=Fleet(nproc or default_processes()),
        time_limit=_NO_LIMIT_SECONDS,
        allow_unsandboxed=allow_unsandboxed,
    )
    try:
        loaded = {name: load_eval_preset(name) for name in presets}
    except (ValueError, Refused) as error:
        raise click.UsageError(str(error)) from None
    with make_display() as display:
        comparison = compare(options, loaded, display)
    on_stdout = json_file == STDOUT
    print_comparison(comparison, Console(stderr=on_stdout))
    text = msgspec.json.format(msgspec.json.encode(comparison)).decode()
    if on_stdout:
        click.echo(text)
    for file, content in (
        (None if on_stdout else json_file, text + "\n"),
        (html_file, render(comparison) if html_file else ""),
        (svg_file, picture(comparison) if svg_file else ""),
    ):
        if file is not None:
            write_file(file, content.encode())
            click.echo(f"written: {file}", err=True)
    return Exit.OK if all(row.claimed is not None for row in comparison.rows) else Exit.REFUSED
