"""Command line of ``evaluate``."""

from __future__ import annotations

import re
from pathlib import Path

import click
import msgspec
from rich.console import Console

from auditor.exits import Exit
from auditor.outputs import STDOUT, OutputFile, write_file
from evaluator.compare_cli import compare_presets
from evaluator.display import make_display
from evaluator.environment import default_processes
from evaluator.pack_cli import pack
from evaluator.refusal import Refused
from evaluator.resolve import AUTO, Options
from evaluator.sanity import Expected, read_expected, verdict
from evaluator.scorecard import Scorecard, read_scorecard
from evaluator.settings import EvalPreset, load_eval_preset
from evaluator.supervise import Fleet

_PATH = click.Path(path_type=Path)
_EXITS = {"scored": Exit.OK, "over-bytes": Exit.FAILED, "over-time": Exit.FAILED, "refused": Exit.REFUSED}


def _known_eval_preset(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            load_eval_preset(value)
        except (ValueError, Refused) as error:
            raise click.BadParameter(str(error)) from None
    return value


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("artifact", type=_PATH, required=False)
@click.option("--model", type=click.Choice(["none"]), help="none: no artifact, a uniform distribution in its place.")
@click.option("--preset", default=AUTO, show_default=True, help="Model preset; auto: from manifest, header or shapes.")
@click.option("--data", type=_PATH, help="Folder of the validation shards (fineweb_val_*.bin).")
@click.option("--tokenizer", type=_PATH, help="SentencePiece model that made the shards.")
@click.option("--code", type=_PATH, multiple=True, help="File or folder whose bytes count; repeatable.")
@click.option(
    "--eval-preset",
    callback=_known_eval_preset,
    help="How to score: a name or FILE.toml; default: the manifest's, the contest's.",
)
@click.option("--contest", help="Contest profile; default: the manifest's, then parameter-golf.")
@click.option(
    "--nproc", type=click.IntRange(1, 1024), help="Scoring processes on this machine; default: GPUs or cores."
)
@click.option("--nnodes", type=click.IntRange(2, 1024), help="Machines; run the same command on each.")
@click.option("--node-rank", type=click.IntRange(0), help="Number of this machine, 0 for the first.")
@click.option("--master", metavar="HOST:PORT", help="Address of the first machine, for --nnodes.")
@click.option(
    "--json", "json_file", type=OutputFile(dash=True), help="Write the scorecard as JSON (- for standard output)."
)
@click.option("--html", "html_file", type=OutputFile(), help="Write the scorecard as one HTML page.")
@click.option(
    "--time-limit", type=click.FloatRange(0, min_open=True), help="Seconds instead of the contest's cap; practice only."
)
@click.option(
    "--official", is_flag=True, help="An official score: the contest's settings, hardware and whole data set."
)
@click.option(
    "--allow-unsandboxed", is_flag=True, help="Decode without isolation where no sandbox works; practice only."
)
@click.option("--scaled", is_flag=True, help="Shrink the preset with the data and the model; practice only.")
@click.option("--sanity", is_flag=True, help="Check the model: its loss without overlap, adaptation or mixer.")
@click.option("--expect", metavar="BPB|LOG", help="With --sanity: the loss it should have, or the submission's log.")
@click.option("--replay", type=_PATH, help="Repeat the run of this JSON scorecard and compare digests.")
def score(
    artifact: Path | None,
    model: str | None,
    preset: str,
    data: Path | None,
    tokenizer: Path | None,
    code: tuple[Path, ...],
    eval_preset: str | None,
    contest: str | None,
    nproc: int | None,
    nnodes: int | None,
    node_rank: int | None,
    master: str | None,
    json_file: Path | None,
    html_file: Path | None,
    time_limit: float | None,
    official: bool,
    allow_unsandboxed: bool,
    scaled: bool,
    sanity: bool,
    expect: str | None,
    replay: Path | None,
) -> int:
    """Score ARTIFACT: load it, run the reference GPT over the validation stream, print the scorecard.

    What is not given comes from the manifest beside the artifact (artifact.ptz -> artifact.manifest.json) and is
    printed. `evaluate pack` makes an artifact from a checkpoint (`./pack` is a file of that name), and
    `evaluate --compare` scores one artifact in several ways.

    Exit codes: 0 scored within the caps (and, with --replay, the same digest; with --expect, the same loss);
    1 over a cap (or another digest, another loss); 2 refused artifact or data; 64 usage; 70 internal;
    130 interrupted.
    """
    from evaluator.evaluation import evaluate, lend_processes

    if (artifact is None) != (model == "none"):
        raise click.UsageError("give an ARTIFACT, or --model none")
    if official and (eval_preset or time_limit or replay or scaled or model):
        raise click.UsageError(
            "--official takes all scoring settings from the contest: "
            "no --eval-preset, --time-limit, --replay, --scaled, --model"
        )
    fleet = _fleet(nproc, nnodes, node_rank, master)
    options = Options(
        artifact=artifact,
        preset=preset,
        data=data,
        tokenizer=tokenizer,
        code=code,
        eval_preset=eval_preset,
        contest=contest,
        fleet=fleet,
        official=official,
        time_limit=time_limit,
        allow_unsandboxed=allow_unsandboxed,
        scaled=scaled,
        sanity=sanity,
    )
    checked = _expected(expect, sanity=sanity, other=bool(model or eval_preset or replay or scaled))
    expected = None
    if replay is not None:
        expected = _read_replay(replay)
        options = _as_in(options, expected)
    with make_display() as display:
        if fleet.node_rank:
            return _EXITS.get(lend_processes(options, display), Exit.INTERNAL)
        card = evaluate(options, display)
    if expected is not None:
        card = compare(card, expected)
    publish(card, json_file, html_file)
    if sanity and card.bpb is not None:
        line, agrees = verdict(card, checked)
        click.echo(line, err=True)
        return Exit.OK if agrees else Exit.FAILED
    if card.replay is not None and card.status == "scored":
        return Exit.OK if card.replay == "confirmed" else Exit.FAILED
    return _EXITS.get(card.status, Exit.INTERNAL)


def publish(card: Scorecard, json_file: Path | None, html_file: Path | None) -> None:
    """Print the scorecard and write what was asked for."""
    from evaluator.report.html import render
    from evaluator.report.terminal import print_scorecard

    text = msgspec.json.format(msgspec.json.encode(card))
    on_stdout = json_file == STDOUT
    print_scorecard(card, Console(stderr=on_stdout))
    if on_stdout:
        click.echo(text)
    elif json_file is not None:
        write_file(json_file, text + b"\n")
        click.echo(f"JSON scorecard: {json_file}", err=True)
    if html_file is not None:
        write_file(html_file, render(card).encode())
        click.echo(f"HTML report: {html_file}", err=True)


def compare(card: Scorecard, expected: Scorecard) -> Scorecard:
    """``card`` with the outcome of a replay of ``expected``: same digest, or which ingredient differs."""
    if card.digest is None:
        return card
    if card.digest == expected.digest:
        return msgspec.structs.replace(card, replay="confirmed", message=f"replay confirms digest {card.digest[:16]}")
    ours = msgspec.structs.asdict(card.digests) if card.digests else {}
    theirs = msgspec.structs.asdict(expected.digests) if expected.digests else {}
    differ = [name for name in ours if ours[name] != theirs.get(name)]
    what = f"other {', '.join(differ)}" if differ else "the same inputs gave other scores"
    return msgspec.structs.replace(
        card, replay="differs", message=f"replay differs: {what}; {expected.bpb} bpb then, {card.bpb} now"
    )


def _expected(value: str | None, *, sanity: bool, other: bool) -> Expected | None:
    if sanity and other:
        raise click.UsageError("--sanity sets how to score: no --model, --eval-preset, --replay, --scaled")
    if value is None:
        return None
    if not sanity:
        raise click.UsageError("--expect needs --sanity")
    try:
        return read_expected(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expect") from None


def _read_replay(path: Path) -> Scorecard:
    try:
        card = read_scorecard(path.read_bytes())
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path} is no scorecard: {error}") from None
    if card.digest is None or card.scoring is None:
        raise click.UsageError(f"{path} holds no score to replay ({card.status})")
    return card


def _as_in(options: Options, card: Scorecard) -> Options:
    from dataclasses import replace

    from reference_model import preset_names

    preset = card.model.preset if card.model and card.model.preset in preset_names() else options.preset
    scoring = EvalPreset(card.scoring, card.published) if card.scoring else None
    return replace(options, scoring=scoring, scaled=False, contest=options.contest or card.contest, preset=preset)


def _fleet(nproc: int | None, nnodes: int | None, node_rank: int | None, master: str | None) -> Fleet:
    nproc = nproc or default_processes()
    if nnodes is None and node_rank is None and master is None:
        return Fleet(nproc)
    if nnodes is None or node_rank is None or master is None or not re.fullmatch(r".+:\d+", master):
        raise click.UsageError("several machines need --nnodes, --node-rank and --master HOST:PORT")
    if node_rank >= nnodes:
        raise click.UsageError(f"--node-rank {node_rank}: {nnodes} machines have numbers 0 to {nnodes - 1}")
    return Fleet(nproc, nnodes, node_rank, master)


COMMANDS = {"": score, "pack": pack, "--compare": compare_presets}
