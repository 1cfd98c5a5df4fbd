"""Command line of ``audit``: reserved until the analyser lands."""

from __future__ import annotations

import click

from auditor.exits import Exit


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1)
def judge(arguments: tuple[str, ...]) -> int:
    """Judge a submission folder (not built yet)."""
    click.echo("audit: not built yet; no submission was judged", err=True)
    return Exit.INTERNAL


COMMANDS = {"": judge}
