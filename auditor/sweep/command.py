"""``audit sweep``: options, progress, and what is left behind."""

from __future__ import annotations

import datetime
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.exits import Exit
from auditor.outputs import make_folder

if TYPE_CHECKING:
    from auditor.sweep.store import Store

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(epilog="Exit codes: 0 everything has its answer, 64 usage, 70 internal error, 130 interrupted.")
@click.option("--git", "folder", type=_FOLDER, required=True, help="The repository, as a mirror or a work tree.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the results.")
@click.option("--refs", default="refs/pull/*/head", show_default=True, help="Pattern of the refs to judge.")
@click.option("--prs", metavar="LIST", help="Only these pull requests, such as 1,2,5-9.")
@click.option("--main", default="main", show_default=True, help="The branch that pull requests are measured against.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Judge by the rulings of that day.")
@click.option("--no-probe", is_flag=True, help="Run no experiments on the submissions' code.")
@click.option(
    "--probe-budget", type=click.FloatRange(min=1), default=120.0, show_default=True, help="CPU seconds of experiments."
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; as many as there are cores by default.")
@click.option("--timeout", type=click.FloatRange(1), default=600.0, show_default=True, help="Seconds per submission.")
@click.option("--retry", is_flag=True, help="Audit again what failed or timed out in an earlier sweep.")
def sweep(
    folder: Path,
    out: Path,
    refs: str,
    prs: str | None,
    main: str,
    as_of: datetime.datetime | None,
    probe_budget: float,
    workers: int | None,
    timeout: float,
    *,
    no_probe: bool,
    retry: bool,
) -> int:
    """Judge every submission that the refs of a repository bring.

    Results go to OUT/results.sqlite as they come; a sweep that was interrupted goes on where it was. At the end
    OUT/results.jsonl holds one line per submission.
    """
    import sqlite3

    from auditor.sweep import run
    from auditor.sweep.plan import chosen, parse_numbers
    from auditor.sweep.pool import Limits
    from auditor.sweep.progress import SweepProgress
    from auditor.sweep.repository import Repository, RepositoryError
    from auditor.sweep.store import Store

    try:
        pulls = parse_numbers(prs) if prs is not None else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--prs") from None
    choice = run.Choice(
        as_of=as_of.date() if as_of else None,
        probe=None if no_probe else probe_budget,
        workers=workers or len(os.sched_getaffinity(0)),
        limits=Limits(seconds=timeout),
        retry=retry,
    )
    repository = Repository(folder)
    try:
        base = repository.commit(main)
        wanted = chosen(repository.refs(refs), pulls)
    except RepositoryError as error:
        raise click.UsageError(f"{folder}: {error}") from None
    if not wanted:
        raise click.UsageError("no ref matches")
    make_folder(out)
    try:
        opened = Store(out / "results.sqlite")
    except sqlite3.DatabaseError as error:
        raise click.UsageError(f"{out / 'results.sqlite'}: {error}") from None
    with opened as store:
        click.echo(f"{len(wanted)} refs: listing what they bring", err=True)
        plan = run.plan(repository, wanted, base, store, choice)
        for name, reason in plan.unreadable:
            click.echo(f"{name}: {reason}", err=True)
        click.echo(f"{plan.submissions} submissions, {plan.known} already judged, {len(plan.tasks)} to audit", err=True)
        before = signal.signal(signal.SIGTERM, _interrupt)  # the workers end with the sweep, however it ends
        try:
            with SweepProgress(len(plan.tasks)) as progress:
                run.sweep(folder, plan.tasks, store, choice, progress.add)
        finally:  # an interrupted sweep leaves both files in agreement
            signal.signal(signal.SIGTERM, before)
            click.echo(f"this sweep: {progress.counts or 'nothing to do'}", err=True)
            _write_lines(store, out / "results.jsonl")
    return Exit.OK


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _write_lines(store: Store, path: Path) -> None:
    from auditor.sweep.groups import digests_of, group
    from auditor.sweep.lines import lines

    groups = group(digests_of(entry) for entry in store.entries())
    with path.open("w", encoding="utf-8") as stream:
        stream.writelines(lines(store.entries(), groups))
