"""The submissions of one pull request, read from git objects: nothing of it is ever checked out."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.options import Options
from auditor.report.document import Audit
from auditor.report.formats import source_lines
from auditor.rule import Rule
from auditor.sweep.one import Context, judge
from auditor.sweep.plan import submissions_of
from auditor.sweep.repository import BlobReader, Ref, Repository, RepositoryError, command, environment


@dataclass(frozen=True)
class Report:
    """The report of one submission with the code that it speaks of, by name."""

    audit: Audit
    sources: dict[str, tuple[str, ...]]


def judge_pull_request(
    repository: Repository, base: str, head: str, rules: Sequence[Rule], options: Options, out: Path | None = None
) -> tuple[Report, ...]:
    """Audit every submission that ``head`` adds or changes relative to where it left ``base``.

    Counter-examples of the submission number N go to ``out/evidence-N``.

    Raises:
        RepositoryError: a commit is not there, or git refused.
    """
    main, tip = repository.commit(base), repository.commit(head)
    reports = []
    with BlobReader(repository.folder) as reader:
        for number, submitted in enumerate(submissions_of(repository, Ref(head, tip, 0), main), 1):
            own = options
            if options.probe is not None and out is not None:
                own = replace(options, probe=replace(options.probe, evidence=out / f"evidence-{number}"))
            changes = tuple((change.kind, change.path) for change in submitted.changes)
            context = Context(submitted.folder, changes, submitted.record)
            judged = judge(context, submitted.blobs, submitted.digest, reader, rules, own)
            reports.append(Report(judged.audit, source_lines(judged.submission)))
    return tuple(reports)


def staged(repository: Repository) -> str:
    """A commit of what is staged, on top of HEAD, that no branch names; for a hook that runs before the real one.

    Raises:
        RepositoryError: there is no HEAD, or the index holds conflicts.
    """
    tree = _run(repository, "write-tree")
    who = ["-c", "user.name=audit", "-c", "user.email=audit@localhost"]
    return _run(repository, *who, "commit-tree", "-p", "HEAD", "-m", "What is staged", tree)


def _run(repository: Repository, *arguments: str) -> str:
    index = {name: os.environ[name] for name in ("GIT_INDEX_FILE",) if name in os.environ}  # of `commit FILE`
    done = subprocess.run(
        command(repository.folder, *(argument.encode() for argument in arguments)),
        capture_output=True,
        env={**environment(), **index},
        check=False,
        text=True,
    )
    if done.returncode:
        raise RepositoryError(f"git {arguments[-1]}: {done.stderr.strip()[:300]}")
    return done.stdout.strip()
