"""``python -m mini_contest build``: make the embedded default contest."""

from __future__ import annotations

import os
from pathlib import Path

import click

from mini_contest.settings import BuildSettings

# Read when torch is loaded. Threads that spin while they wait for each other make two of them on a busy machine many
# times slower than one (measured: 6 times); the bits are the same.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@click.group()
def main() -> None:
    """The mini contest: a model of Python's own documentation, made on this machine in a minute or two."""


@main.command("build")
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/mini"), show_default=True)
@click.option("--force", is_flag=True, help="Make it anew even if it is there.")
@click.option("--steps", type=click.IntRange(min=1), help="Training steps instead of the preset's number.")
def build_command(out: Path, force: bool, steps: int | None) -> None:
    """Make corpus, tokenizer, shards, model and artifact in OUT, or find them there."""
    from mini_contest.build import ARTIFACT_NAME, build  # loads torch, which must see the above

    try:
        record = build(out, BuildSettings(steps=steps), force=force)
    except OSError as error:  # not empty and none of ours, or not to be written
        raise click.ClickException(str(error)) from None
    click.echo(
        f"{out / ARTIFACT_NAME}: {record.artifact_bytes:,} bytes, {record.parameters:,} parameters, "
        f"sha256 {record.artifact_sha256[:12]}; made in {record.seconds:.0f} s ({record.key})"
    )


if __name__ == "__main__":
    main(prog_name="python -m mini_contest")
