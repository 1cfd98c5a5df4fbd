"""``audit gate``: the logic behind the action and the hook."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from auditor.exits import Exit
from auditor.outputs import make_folder

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(
    epilog="Exit codes: 0 nothing found on full coverage, 1 violation, 2 needs review or not fully covered, 64 usage,"
    " 70 internal error."
)
@click.option("--git", "folder", type=_FOLDER, default=Path(), help="The repository; the current folder by default.")
@click.option("--base", default="main", show_default=True, help="What the pull request is measured against.")
@click.option("--head", default="HEAD", show_default=True, help="The pull request's last commit.")
@click.option("--staged", is_flag=True, help="Judge what is staged on top of HEAD instead.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write reports, SARIF and comment here.")
@click.option("--no-probe", is_flag=True, help="Run no experiments, and do not ask for them.")
@click.option(
    "--probe-budget", type=click.FloatRange(min=1), default=120.0, show_default=True, help="CPU seconds of experiments."
)
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Judge by the rulings of that day.")
def gate(
    folder: Path,
    base: str,
    head: str,
    out: Path | None,
    probe_budget: float,
    as_of: datetime.datetime | None,
    *,
    staged: bool,
    no_probe: bool,
) -> int:
    """Judge every submission that a pull request brings; the exit code is the gate.

    The pull request is read from git objects; nothing of it is checked out.
    """
    from auditor.gate import files
    from auditor.gate import judge as judging
    from auditor.gate.decision import decide
    from auditor.options import Options, ProbeOptions
    from auditor.report import terminal
    from auditor.report.card import escape
    from auditor.rule_packs import load_rules
    from auditor.sweep.repository import Repository, RepositoryError

    if out is not None:
        make_folder(out)
    repository = Repository(folder)
    probe = None if no_probe else ProbeOptions(probe_budget)
    options = Options(as_of=as_of.date() if as_of else None, probe=probe)
    try:
        tip = judging.staged(repository) if staged else head
        reports = judging.judge_pull_request(repository, base, tip, load_rules(), options, out)
    except RepositoryError as error:
        raise click.UsageError(str(error)) from None
    decision = decide(files.audits_of(reports), probe=not no_probe)
    for report in reports:
        click.echo(terminal.render(report.audit))
    if out is not None:
        files.write(out, reports, decision)
    for line in decision.missing:
        click.echo(f"not covered: {escape(line)}")
    click.echo(decision.says)
    return Exit(decision.exit)
