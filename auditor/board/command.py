"""``audit board``: from a sweep's database to a site."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.exits import Exit
from auditor.outputs import make_folder


@click.command()
@click.option(
    "--db", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, help="results.sqlite"
)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the site.")
@click.option("--url", default="", help="The repository on a code host, for links: https://HOST/OWNER/NAME.")
def board(db: Path, out: Path, url: str) -> int:
    """Write the results of a sweep as a static site; open OUT/index.html."""
    import sqlite3

    from auditor.board.build import build
    from auditor.rule_packs import load_rules
    from auditor.sweep.store import Store

    if url and not url.startswith("https://"):
        raise click.BadParameter("an address begins with https://", param_hint="--url")
    make_folder(out)
    try:
        with Store(db) as store:
            count = build(store, load_rules(), out, url.rstrip("/"))
    except sqlite3.DatabaseError as error:
        raise click.BadParameter(f"{db}: {error}", param_hint="--db") from None
    click.echo(f"{count} files in {out}")
    return Exit.OK
