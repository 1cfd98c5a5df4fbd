"""Command line of ``audit``.

``audit PR_DIR`` judges a folder; the reserved words of ``COMMANDS`` win over a folder of that
name (``./rules`` is the folder).
"""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from auditor.board.command import board
from auditor.exits import Exit
from auditor.findings import Status, Verdict
from auditor.gate.command import gate
from auditor.outputs import STDOUT, OutputFile, make_folder, write_file
from auditor.probe.command import replay
from auditor.report.formats import FORMATS
from auditor.sweep.command import sweep

if TYPE_CHECKING:
    from auditor.options import Options
    from auditor.report.document import Audit

_EXITS = {Verdict.VIOLATION: Exit.FAILED, Verdict.NEEDS_REVIEW: Exit.REFUSED, Verdict.CLEAR: Exit.OK}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


_EPILOG = """\b
Other commands, each with its own --help (a folder of such a name is ./rules):
  audit rules                list the rules
  audit explain RULE         what a rule forbids, why, and what is legal instead
  audit replay FILE PR_DIR   show a counter-example again
  audit gate                 judge the submissions of a pull request
  audit sweep                judge every pull request of a repository
  audit board                the results of a sweep as a web site

Exit codes: 0 nothing found, 1 violation, 2 needs review, 64 usage, 70 internal error, 130 interrupted.
"""


@click.command(epilog=_EPILOG)
@click.argument("folder", metavar="PR_DIR", type=click.Path(path_type=Path))
@click.option(
    "--format", "style", type=click.Choice(FORMATS), default="terminal", show_default=True, help="Form of the report."
)
@click.option("--output", type=OutputFile(dash=True), help="Write the report to this file, not to standard output.")
@click.option("--select", multiple=True, metavar="RULE", help="Ask only this rule; may be repeated.")
@click.option("--ignore", multiple=True, metavar="RULE", help="Do not ask this rule; may be repeated.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Judge by the rulings of that day.")
@click.option("--all-flags", is_flag=True, help="Analyse code that the documented launch leaves off, too.")
@click.option("--no-probe", is_flag=True, help="Run no experiments on the submission's code.")
@click.option(
    "--probe-budget",
    type=click.FloatRange(min=1),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="CPU seconds of experiments.",
)
@click.option("--python", type=_FILE, metavar="EXE", help="Interpreter for the submission's code; it needs torch.")
@click.option(
    "--save-evidence",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write counter-examples here, for `audit replay`.",
)
@click.option("--strict", is_flag=True, help="Let notes of severity R ask for a review.")
@click.option("--baseline", type=_FILE, help="An earlier JSON report; what it found does not decide.")
@click.option("--suppress", type=_FILE, help="Your suppressions, TOML: rule, reason, date; never read from PR_DIR.")
@click.option("--no-cache", is_flag=True, help="Audit again even if nothing has changed.")
def judge(
    folder: Path,
    style: str,
    output: Path | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    as_of: datetime.datetime | None,
    baseline: Path | None,
    suppress: Path | None,
    probe_budget: float,
    python: Path | None,
    save_evidence: Path | None,
    *,
    all_flags: bool,
    no_probe: bool,
    strict: bool,
    no_cache: bool,
) -> int:
    """Judge the submission in folder PR_DIR."""
    from auditor.options import Options, ProbeOptions

    if save_evidence is not None:
        make_folder(save_evidence)
    options = Options(
        select=frozenset(select),
        ignore=frozenset(ignore),
        as_of=as_of.date() if as_of else None,
        all_flags=all_flags,
        strict=strict,
        known=_known(baseline),
        probe=None if no_probe else ProbeOptions(probe_budget, python, save_evidence),
    )
    # A cached answer writes no files.
    audit = _answer(folder, options, suppress, use_cache=not (no_cache or save_evidence))
    _print(audit, style, output)
    if save_evidence is not None:
        for name in audit.coverage.probe.evidence:
            click.echo(f"counter-example: audit replay {save_evidence / name} {folder}", err=True)
    return _EXITS[audit.verdict]


def _answer(folder: Path, options: Options, suppress: Path | None, *, use_cache: bool) -> Audit:
    """From the cache when nothing has changed, else by auditing."""
    import msgspec

    from auditor.cache import Cache, cache_key, folder_digest, rule_book_version
    from auditor.report.document import encodable

    suppressions = suppress.read_bytes() if suppress else b""
    digest = folder_digest(folder) if folder.is_dir() else None
    # The folder's own path is part of what is judged: its name and its track.
    key = cache_key(digest, rule_book_version(), os.path.realpath(folder), options, suppressions)
    cached = Cache().get(key) if use_cache and digest else None
    if cached is not None:
        submission = msgspec.structs.replace(cached.submission, path=os.fspath(folder))
        timing = msgspec.structs.replace(cached.timing, cached=True)
        return encodable(msgspec.structs.replace(cached, submission=submission, timing=timing))
    audit = _audit(folder, options, suppressions, digest or "")
    if use_cache and digest:
        Cache().put(key, audit)
    return audit


def _audit(folder: Path, options: Options, suppressions: bytes, digest: str) -> Audit:
    from dataclasses import replace

    from auditor.audit import audit_folder
    from auditor.rule_packs import load_rules
    from auditor.submission import UnreadableSubmissionError
    from auditor.suppressions import parse_suppressions

    rules = load_rules()
    ids = {rule.id for rule in rules}
    unknown = sorted((options.select | options.ignore) - ids)
    if unknown:
        raise click.UsageError(f"no rule {unknown[0]!r}; `audit rules` lists them")
    if suppressions:
        try:
            options = replace(options, suppressions=parse_suppressions(suppressions.decode(), ids))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--suppress") from None
    try:
        return audit_folder(folder, options, digest, rules)
    except UnreadableSubmissionError as error:
        raise click.UsageError(str(error)) from None


def _known(baseline: Path | None) -> frozenset[str]:
    """What an earlier report found: fingerprints, and the rules that it could not decide."""
    if baseline is None:
        return frozenset()
    from auditor.report.document import read_audit

    try:
        audit = read_audit(baseline.read_bytes())
    except ValueError as error:
        raise click.BadParameter(f"not a JSON report of audit: {error}", param_hint="--baseline") from None
    undecided = {rule.rule for rule in audit.rules if rule.status is Status.NOT_ANALYSABLE}
    return frozenset({finding.fingerprint for rule in audit.rules for finding in rule.findings} | undecided)


def _print(audit: Audit, style: str, output: Path | None) -> None:
    from auditor.report import formats

    if output is None and style == "terminal":
        click.echo(formats.terminal(audit), nl=False)  # click keeps its colours where there is a terminal
    elif output in {None, STDOUT}:
        click.echo(formats.render(audit, style), nl=False)
    else:
        write_file(output, formats.render(audit, style))


@click.command()
@click.option("--markdown", type=click.Path(file_okay=False, path_type=Path), help="Write one page per rule here.")
def list_rules(markdown: Path | None) -> int:
    """List the rules."""
    from auditor.report import pages
    from auditor.rule_packs import load_rules

    rules = load_rules()
    if markdown is None:
        click.echo(pages.listing(rules), nl=False)
    else:
        make_folder(markdown)
        count = pages.write(rules, markdown)
        click.echo(f"{count} pages in {markdown}")
    return Exit.OK


@click.command()
@click.argument("rule")
def explain(rule: str) -> int:
    """Explain RULE: what it forbids, why, who said so, and how to do it legally."""
    from auditor.report import pages
    from auditor.rule_packs import load_rules

    found = [known for known in load_rules() if known.id == rule]
    if not found:
        raise click.UsageError(f"no rule {rule!r}; `audit rules` lists them")
    click.echo(pages.explanation(found[0]), nl=False)
    return Exit.OK


COMMANDS = {
    "": judge,
    "rules": list_rules,
    "explain": explain,
    "replay": replay,
    "sweep": sweep,
    "board": board,
    "gate": gate,
}
