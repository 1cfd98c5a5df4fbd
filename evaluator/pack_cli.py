"""Command line of ``evaluate pack``."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.exits import Exit
from auditor.outputs import OutputFile
from evaluator.refusal import Refused
from evaluator.resolve import DEFAULT_CONTEST

_PATH = click.Path(path_type=Path)


def _known_recipe(_context: click.Context, _option: click.Parameter, value: str) -> str:
    from evaluator.packing.recipes import RECIPES

    if value not in RECIPES:
        raise click.BadParameter(f"no recipe {value!r}; there are {', '.join(RECIPES)}")
    return value


def _list_recipes(context: click.Context, _option: click.Parameter, value: bool) -> None:
    from evaluator.packing.recipes import RECIPES

    if value:
        for name, recipe in RECIPES.items():
            click.echo(f"{name:<16}{recipe.about}{'; needs --calibrate' if recipe.calibrated else ''}")
        context.exit()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("checkpoint", type=_PATH)
@click.option("--preset", required=True, help="Model preset; its configuration goes into the canonical header.")
@click.option("--config", type=_PATH, help="TOML with fields of GPTConfig that differ from the preset.")
@click.option(
    "--recipe", default="canonical", show_default=True, callback=_known_recipe, help="Quantiser and format family."
)
@click.option(
    "--recipes", is_flag=True, is_eager=True, expose_value=False, callback=_list_recipes, help="List the recipes."
)
@click.option(
    "--output", "-o", type=OutputFile(), default=Path("artifact.ptz"), show_default=True, help="The artifact to write."
)
@click.option("--code", type=_PATH, multiple=True, help="File or folder whose bytes count; repeatable.")
@click.option("--contest", default=DEFAULT_CONTEST, show_default=True, help="Whose cap and validation data.")
@click.option("--cap", type=click.IntRange(1), help="Bytes of artifact and code together; default: the contest's.")
@click.option(
    "--calibrate", "training", type=_PATH, metavar="FOLDER", help="Training shards (fineweb_train_*.bin) for GPTQ."
)
@click.option(
    "--calibration-tokens", "training_tokens", type=click.IntRange(1), default=65_536, show_default=True,
    help="How many of them.",
)  # fmt: skip
@click.option("--data", type=_PATH, help="Validation shards, to say what quantisation costs.")
@click.option("--tokenizer", type=_PATH, help="SentencePiece model that made them.")
@click.option(
    "--loss-targets", "targets", type=click.IntRange(1), default=20_480, show_default=True,
    help="Targets to score for that.",
)  # fmt: skip
def pack(**options: object) -> int:
    """Make an artifact of CHECKPOINT (safetensors or torch) that fits the byte cap, and report its counted size.

    What does not fit at once gives up bits, block by block outward from the middle, then small weights; what does not
    fit then is refused, and nothing is written. With --data the file is read back and scored beside the checkpoint.

    Exit codes: 0 written, 2 refused, 64 usage, 70 internal.
    """
    from evaluator.packing.command import PackOptions, pack_checkpoint

    try:
        report = pack_checkpoint(PackOptions(**options), lambda line: click.echo(f"evaluate pack: {line}", err=True))  # type: ignore[arg-type]  # click has checked them
    except Refused as refused:
        click.echo(f"evaluate pack: refused ({refused.reason}): {refused.message}", err=True)
        return Exit.REFUSED
    click.echo(str(report))
    return Exit.OK
