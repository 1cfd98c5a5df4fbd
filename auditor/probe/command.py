"""``audit replay``: show one counter-example again."""

from __future__ import annotations

from pathlib import Path

import click

from auditor.exits import Exit

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(epilog="Exit codes: 0 not confirmed, 1 violation confirmed, 64 usage, 70 internal error.")
@click.argument("file", type=_FILE)
@click.argument("folder", metavar="PR_DIR", type=click.Path(path_type=Path))
@click.option("--probe-budget", type=click.FloatRange(min=1), default=120.0, metavar="SECONDS", help="CPU seconds.")
@click.option("--python", type=_FILE, metavar="EXE", help="Interpreter for the submission's code; it needs torch.")
def replay(file: Path, folder: Path, probe_budget: float, python: Path | None) -> int:
    """Run the counter-example in FILE on the submission in PR_DIR, and nothing else."""
    from auditor.probe.evidence import EvidenceError, read_evidence
    from auditor.probe.replay import replay as run_again
    from auditor.report.card import escape
    from auditor.sandbox import SandboxUnavailable
    from auditor.submission import UnreadableSubmissionError, read_submission

    try:
        example = read_evidence(file.read_bytes())
        confirmed, said = run_again(example, read_submission(folder), probe_budget, python)
    except (EvidenceError, UnreadableSubmissionError) as error:
        raise click.UsageError(str(error)) from None
    except SandboxUnavailable as error:
        raise click.UsageError(f"nothing was run: {error}") from None
    click.echo(("confirmed: " if confirmed else "not confirmed: ") + escape(said))
    return Exit.FAILED if confirmed else Exit.OK
