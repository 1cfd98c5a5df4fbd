"""One submission of a pull request, audited from git objects with what the pull request adds to its folder's story."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from auditor.audit import audit_submission
from auditor.audited import Audited
from auditor.options import Options
from auditor.report.document import Audit
from auditor.rule import Rule
from auditor.submission import Problem, Submission, read_submission
from auditor.sweep.materialise import materialise
from auditor.sweep.repository import Blob, BlobReader


@dataclass(frozen=True)
class Judged:
    """The report, and what it was made from.

    Attributes:
        audit: with the folder's path in the repository.
        submission: as read; the files themselves are gone.
        problems: files that could not be written out.
    """

    audit: Audit
    submission: Submission
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Context:
    """What the pull request says of a submission beyond its files; see :class:`auditor.audited.Audited`."""

    folder: str
    changes: tuple[tuple[str, str], ...]
    record: float | None


def judge(
    context: Context,
    blobs: Sequence[Blob],
    digest: str,
    reader: BlobReader,
    rules: Sequence[Rule],
    options: Options,
) -> Judged:
    """Audit the files ``blobs`` as the submission that the pull request puts into ``context.folder``.

    Raises:
        RepositoryError: git ended.
        RulePackError: no rules.
    """
    with tempfile.TemporaryDirectory(prefix="audit-", ignore_cleanup_errors=True) as temporary:
        root = Path(temporary) / (context.folder or "scripts")  # the name and the track are part of what is judged
        root.mkdir(parents=True)
        problems = materialise(blobs, root, reader)
        submission = read_submission(root)
        submission = dataclasses.replace(submission, problems=(*submission.problems, *problems))
        audited = Audited(submission, options.all_flags, options.as_of, context.changes, context.folder, context.record)
        audit = audit_submission(audited, options, digest, rules)
    path = context.folder.encode("utf-8", "backslashreplace").decode()  # the temporary one means nothing to anybody
    placed = msgspec.structs.replace(audit.submission, path=path)
    return Judged(msgspec.structs.replace(audit, submission=placed), submission, problems)
